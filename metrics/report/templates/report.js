"use strict";

for (const box of document.querySelectorAll("[data-outlines]")) {
  const section = document.getElementById(box.dataset.outlines);
  const apply = () => {
    section.classList.toggle("outlined", box.checked);
    for (const other of document.querySelectorAll(`[data-outlines="${box.dataset.outlines}"]`)) other.checked = box.checked;
  };
  box.addEventListener("change", apply);
  apply();
}

const map = document.querySelector(".map");
if (map) {
  const svg = map.querySelector("svg");
  const ring = svg.querySelector(".ring");
  const tip = map.querySelector(".tip");
  const live = document.querySelector(".live");
  const sources = JSON.parse(document.getElementById("points").textContent);
  const captions = JSON.parse(document.getElementById("captions").textContent);
  const dots = [...svg.querySelectorAll("[data-i]")];
  const middles = dots.map((dot) => {
    const box = dot.getBBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  });
  let current = -1;

  const hide = () => {
    tip.hidden = true;
    ring.setAttribute("cx", -20);
    ring.setAttribute("cy", -20);
  };
  const show = (at) => {
    current = at;
    const [x, y] = middles[at];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    tip.querySelector("img").src = sources[at];
    tip.querySelector("p").textContent = captions[at];
    tip.hidden = false;
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const right = x > svg.viewBox.baseVal.width / 2;
    tip.style.left = `${x * scale + (right ? -14 - tip.offsetWidth : 14)}px`;
    tip.style.top = `${Math.max(0, y * scale - tip.offsetHeight / 2)}px`;
  };
  const shown = (at) => !dots[at].parentNode.classList.contains("off");

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best = -1;
    let least = 144;
    middles.forEach(([a, b], at) => {
      const far = (a - x) ** 2 + (b - y) ** 2;
      if (far < least && shown(at)) [best, least] = [at, far];
    });
    if (best < 0) hide();
    else if (best !== current || tip.hidden) show(best);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    for (let tried = 0, at = current; tried < dots.length; tried++) {
      at = (at + step + dots.length) % dots.length;
      if (shown(at)) {
        show(at);
        live.textContent = captions[at];
        break;
      }
    }
  });
  for (const box of document.querySelectorAll("[data-hide]")) {
    box.addEventListener("change", () => {
      svg.querySelector(`[data-group="${box.dataset.hide}"]`).classList.toggle("off", !box.checked);
      hide();
    });
  }
}
