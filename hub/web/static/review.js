// The queue by keys: j and k go from question to question, a and r answer the one that has the focus; while none has, they go to
// the first. What would follow from an answer is fetched when somebody wants to see it. Without this module there are buttons
// and links.
const room = document.querySelector("[data-review]");
const questions = [...document.querySelectorAll("[data-question]")];
const keys = document.querySelector("[data-keys]");
const on = keys?.querySelector("[data-keys-on]");

if (room && on) {
  keys.hidden = false;
  on.checked = localStorage.getItem("review-keys") !== "off";
  on.addEventListener("change", () => localStorage.setItem("review-keys", on.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (!on.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    const at = questions.indexOf(event.target.closest("[data-question]"));
    if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at < 0 ? 0 : at - 1);
    else if (event.key === "a" || event.key === "r") press(questions[at], event.key);
    else return;
    event.preventDefault();
  });
}

function go(to) {
  if (to >= questions.length) {
    const more = document.querySelector(".pager a[rel=next]");
    if (more) more.focus();
    return;
  }
  const question = questions[Math.max(to, 0)];
  question.focus();
  question.scrollIntoView({ block: "start" });
}

function press(question, key) {
  if (!question) return go(0); // nothing is answered that nobody has chosen
  question.querySelector(`[data-key="${key}"]`)?.click();
}

for (const details of document.querySelectorAll("details[data-part]")) {
  details.addEventListener("toggle", async () => {
    if (!details.open || details.dataset.done) return;
    details.dataset.done = "1";
    try {
      const answer = await fetch(details.dataset.part, { headers: { "hub-part": "follows" }, credentials: "same-origin" });
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      const part = new DOMParser().parseFromString(await answer.text(), "text/html");
      details.querySelector("p").replaceWith(...part.body.childNodes);
    } catch {
      delete details.dataset.done; // the link is still there
    }
  });
}
