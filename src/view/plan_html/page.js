"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const steps = all("li.step");
  const boxes = new Map(all("svg a[data-action]").map((box) => [box.dataset.action, box]));

  // A link to an action opens it.
  const open = () => {
    const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("li.step details");
    if (!details) return;
    details.open = true;
    const summary = details.querySelector("summary");
    summary.focus({ preventScroll: true });
    details.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", open);

  const fit = byId("fit");
  if (fit) {
    fit.hidden = false;
    fit.addEventListener("click", () => {
      const on = byId("picture").classList.toggle("fit");
      fit.setAttribute("aria-pressed", String(on));
    });
  }

  const tools = byId("tools");
  if (tools) {
    tools.hidden = false;
    const search = byId("search");
    const found = byId("found");
    const details = steps.map((step) => step.querySelector("details"));
    byId("open").addEventListener("click", () => steps.forEach((step, at) => { if (!step.hidden) details[at].open = true; }));
    byId("close").addEventListener("click", () => details.forEach((one) => { one.open = false; }));
    // Who looks for an action does not look for what waits for it.
    const searched = (step) => {
      const copy = step.cloneNode(true);
      all(".needs", copy).forEach((needs) => needs.remove());
      return copy.textContent;
    };
    const texts = steps.map((step) => `${step.closest("article").dataset.find} ${searched(step)}`.toLowerCase());
    const look = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      steps.forEach((step, at) => {
        const fits = words.every((word) => texts[at].includes(word));
        step.hidden = !fits;
        shown += fits ? 1 : 0;
        const box = boxes.get(step.dataset.action);
        if (box) box.classList.toggle("dim", !fits);
      });
      all("article.change").forEach((change) => {
        change.hidden = words.length > 0 && all("li.step", change).every((step) => step.hidden);
      });
      found.textContent = words.length === 0 ? "" : `${shown} of ${steps.length} actions`;
    };
    search.addEventListener("input", look);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && search.value !== "") {
        search.value = "";
        look();
        event.preventDefault();
      }
    });
    // A link to an action that the search hides shows it again.
    addEventListener("hashchange", () => {
      const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
      const step = target && target.closest("li.step");
      if (step && step.hidden) {
        search.value = "";
        look();
        open();
      }
    });
  }

  addEventListener("beforeprint", () => all("details").forEach((one) => { one.open = true; }));
  open();
})();
