// Arrow keys go from the search box through the results and back; Enter opens the one that is reached, being a link.
const box = document.getElementById("q");
const results = () => [...document.querySelectorAll("[data-result]")];

document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const all = results();
  const at = document.activeElement === box ? -1 : all.indexOf(document.activeElement);
  if (at === -1 && document.activeElement !== box) return; // elsewhere they scroll
  const next = at + step;
  if (next >= all.length || next < -1) return;
  event.preventDefault();
  (next === -1 ? box : all[next]).focus();
});
