// Links with data-extend="#target" add the next page's part to the target as soon as they come into view, and move to its end.
// The part's name is the target's id. Without this module they are ordinary links.
const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) extend(entry.target);
}, { rootMargin: "600px" });

async function extend(link) {
  if (link.dataset.busy) return;
  link.dataset.busy = "1";
  watch.unobserve(link);
  const target = document.querySelector(link.dataset.extend);
  const says = link.textContent;
  link.textContent = "Loading…";
  try {
    const answer = await fetch(link.href, { headers: { "hub-part": target.id }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const part = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = part.querySelector("a[data-extend]");
    link.remove();
    target.append(...[...part.body.childNodes].filter((node) => node !== next));
    if (next) begin(target.parentElement.appendChild(document.adoptNode(next)));
    target.dispatchEvent(new CustomEvent("extended", { bubbles: true }));
  } catch {
    link.textContent = says;
    delete link.dataset.busy; // it is still a link
  }
}

function begin(link) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || link.dataset.busy) return;
    event.preventDefault();
    extend(link);
  });
  watch.observe(link);
}

for (const link of document.querySelectorAll("a[data-extend]")) begin(link);
