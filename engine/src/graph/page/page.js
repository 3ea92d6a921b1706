"use strict";
(() => {
  const svg = document.querySelector("svg.tm-dag");
  const cards = [...svg.querySelectorAll("[data-step]")];
  const arrows = [...svg.querySelectorAll(".tm-arrow")];
  const panel = document.querySelector(".steps");
  const sections = [...panel.querySelectorAll("section")];
  const before = cards.map(() => []);
  const after = cards.map(() => []);
  for (const arrow of arrows) {
    after[arrow.dataset.from].push(+arrow.dataset.to);
    before[arrow.dataset.to].push(+arrow.dataset.from);
  }
  const reach = (start, next) => {
    const seen = new Set([start]);
    for (const at of seen) next[at].forEach((other) => seen.add(other));
    return seen;
  };
  const light = (place) => {
    svg.classList.toggle("near", place !== null);
    if (place === null) return;
    const up = reach(place, before);
    const down = reach(place, after);
    cards.forEach((card, at) => card.classList.toggle("on", up.has(at) || down.has(at)));
    for (const arrow of arrows) {
      const from = +arrow.dataset.from;
      const to = +arrow.dataset.to;
      arrow.classList.toggle("on", (up.has(from) && up.has(to)) || (down.has(from) && down.has(to)));
    }
  };
  let chosen = null;
  const choose = (place) => {
    chosen = place;
    document.body.classList.add("live");
    sections.forEach((section, at) => { section.hidden = at !== place; });
    cards.forEach((card, at) => {
      card.classList.toggle("chosen", at === place);
      card.setAttribute("aria-pressed", String(at === place));
    });
    light(place);
  };
  cards.forEach((card, place) => {
    card.addEventListener("pointerenter", () => light(place));
    card.addEventListener("pointerleave", () => light(chosen));
    card.addEventListener("focus", () => light(place));
    card.addEventListener("blur", () => light(chosen));
    card.addEventListener("click", () => choose(chosen === place ? null : place));
    card.addEventListener("keydown", (event) => {
      const go = { ArrowRight: after, ArrowDown: after, ArrowLeft: before, ArrowUp: before }[event.key];
      if (go && go[place].length) cards[go[place][0]].focus();
      else if (event.key === "Enter" || event.key === " ") choose(chosen === place ? null : place);
      else if (event.key === "Escape") choose(null);
      else return;
      event.preventDefault();
    });
  });
  choose(null);
})();
