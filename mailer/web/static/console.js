// Live figures and small comforts. All of the console works without this.
"use strict";

(() => {
  const live = document.querySelector("[data-live]");
  const state = document.querySelector("[data-state]");
  const said = document.querySelector("[data-said]");
  let now = state ? state.textContent.trim() : "";
  let final = false;

  const show = (told) => {
    live.innerHTML = told.html; // made by the same template as the page
    final = told.final;
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

  if (live) {
    const SILENT = 5000; // a stream says something at once, unless a proxy keeps it back
    let stream = null, timer = 0;

    const stop = () => {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    };
    // Where no stream comes through: one figure at a time.
    const ask = async () => {
      stop();
      try {
        const answer = await fetch(`${live.dataset.live}?once=1`);
        if (answer.ok) show(await answer.json());
      } catch {
        // The server is away: asked again below.
      }
      if (!final && !document.hidden) timer = setTimeout(ask, SILENT);
    };
    const watch = () => {
      stop();
      if (final) return;
      if (!window.EventSource) return ask();
      stream = new EventSource(live.dataset.live);
      timer = setTimeout(ask, SILENT);
      stream.onmessage = (event) => {
        clearTimeout(timer);
        show(JSON.parse(event.data));
        if (final) stop();
      };
      stream.onerror = () => {
        if (stream?.readyState === EventSource.CLOSED) ask();
      };
    };
    // A browser has six connections to a host: a tab that nobody sees takes none.
    document.addEventListener("visibilitychange", () => (document.hidden ? stop() : watch()));
    window.addEventListener("pagehide", stop);
    window.addEventListener("pageshow", (event) => event.persisted && watch());
    watch();
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
