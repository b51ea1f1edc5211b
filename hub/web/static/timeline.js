// The timeline: a day that goes on in the part just added is not headed again, and "Whole text" opens the text where it stands.
const timeline = document.getElementById("entries");

timeline.addEventListener("extended", () => {
  for (const day of timeline.querySelectorAll(".day")) {
    const above = day.previousElementSibling;
    if (!above || above.dataset.day !== day.dataset.day) continue; // a gap between them stays one
    above.querySelector("ol").append(...day.querySelector("ol").children);
    day.remove();
  }
});

timeline.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-text]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const entry = link.closest(".entry").lastElementChild;
  const open = entry.querySelector("iframe.text");
  link.setAttribute("aria-expanded", String(!open));
  if (open) return open.remove();
  const frame = document.createElement("iframe");
  frame.className = "text";
  frame.setAttribute("sandbox", ""); // nothing runs in it
  frame.title = "Whole text";
  frame.src = link.dataset.text;
  entry.append(frame);
});
