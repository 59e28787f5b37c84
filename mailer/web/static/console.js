// Live figures and small comforts. All of the console works without this.
"use strict";

(() => {
  const live = document.querySelector("[data-live]");
  if (live && window.EventSource) {
    const stream = new EventSource(live.dataset.live);
    const state = document.querySelector("[data-state]");
    const said = document.querySelector("[data-said]");
    let now = state ? state.textContent.trim() : "";
    stream.onmessage = (event) => {
      const told = JSON.parse(event.data);
      live.innerHTML = told.html; // made by the same template as the page
      if (told.final) stream.close();
      if (told.state === now) return;
      now = told.state;
      // One sentence for those who listen, when something changes; not one a second.
      if (said) said.textContent = `The campaign: ${now}.`;
      if (state) {
        const badge = document.createElement("span");
        badge.className = `badge s-${now.split(/[ :,]/)[0]}`;
        badge.textContent = now;
        state.replaceChildren(badge);
      }
    };
    window.addEventListener("pagehide", () => stream.close());
  }

  // Where the menu is a strip, the entry of this page is in sight.
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // A button that was pressed is not pressed twice.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    for (const button of event.target.querySelectorAll("button")) {
      button.setAttribute("aria-disabled", "true");
    }
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
    for (const button of document.querySelectorAll("[aria-disabled]")) {
      button.removeAttribute("aria-disabled");
    }
  });
})();
