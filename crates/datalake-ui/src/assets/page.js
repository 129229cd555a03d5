// Enhances pages that work without it: copy buttons and live updates. It stores nothing in the browser.
// Other scripts add to new content on the event `enhanced`, and request a refresh by the event `refresh`.
"use strict";
(() => {
  const main = document.querySelector("main");
  const live = document.getElementById("live");

  const createElement = (name, text, attributes) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    return element;
  };

  // Copy buttons.

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Browsers offer the clipboard API only with TLS or on localhost. A selection works everywhere.
      const area = createElement("textarea", text, { readonly: "", "aria-hidden": "true", class: "visually-hidden" });
      document.body.append(area);
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      return isCopied;
    }
  };

  document.addEventListener("click", async (event) => {
    const id = event.target.closest("[data-copy]");
    if (id && getSelection().isCollapsed && await copy(id.dataset.copy)) {
      const text = id.textContent;
      if (text !== "Copied") {
        id.textContent = "Copied";
        setTimeout(() => { id.textContent = text; }, 1000);
      }
    }
    const button = event.target.closest(".curl > button.copy");
    if (!button) return;
    const isCopied = await copy(button.closest(".curl").querySelector("code").textContent);
    button.focus();
    button.textContent = isCopied ? "Copied" : "Copy failed";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // What the script adds to the server's HTML, again after each refresh.

  // Formats the same as `ago` in format.rs; change both together.
  const ago = (seconds) => {
    const abs = Math.abs(seconds);
    const [count, unit] = abs < 60 ? [abs, "s"] : abs < 3600 ? [abs / 60, "min"] : abs < 172800 ? [abs / 3600, "h"] : [abs / 86400, "days"];
    const text = `${Math.floor(count)} ${unit}`;
    return seconds < 0 ? `in ${text}` : `${text} ago`;
  };
  // The server's clock minus the client's, which may be wrong.
  let clockOffset = Date.parse(main.dataset.now) - Date.now();
  const updateTimes = () => {
    for (const element of document.querySelectorAll("[data-ago]:not([data-is-local])")) {
      // Either a `time` element, or text in parentheses after one.
      const isTime = element.matches("time");
      const at = Date.parse((isTime ? element : element.previousElementSibling).dateTime);
      const text = ago(Math.trunc((Date.now() + clockOffset - at) / 1000));
      element.textContent = isTime ? text : `(${text})`;
    }
  };

  const enhance = () => {
    for (const code of document.querySelectorAll("code[data-api]")) {
      const command = code.dataset.command || "curl";
      code.textContent = `${command} '${location.origin}${code.dataset.api}'`;
    }
    for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
    document.dispatchEvent(new Event("enhanced"));
    updateTimes();
  };

  // Refreshes.

  // Identifies an element before and after a refresh by its attributes, and by its position among elements with the same ones.
  const identity = (node) => [node.tagName, node.id, ...["class", "href", "name", "aria-label", "data-api"].map((name) => node.getAttribute(name))].join("\n");
  const withIdentity = (wanted, tag) => Array.from(main.getElementsByTagName(tag)).filter((node) => identity(node) === wanted);
  const locator = (node) => {
    const wanted = identity(node);
    const index = withIdentity(wanted, node.tagName).indexOf(node);
    return () => withIdentity(wanted, node.tagName)[index];
  };

  const isEdited = (form) => !form.hasAttribute("data-applying") && Array.from(form.elements).some((field) =>
    field === document.activeElement && field.matches("input, select, textarea") ||
    "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue ||
    "defaultChecked" in field && field.checked !== field.defaultChecked ||
    field.options && Array.from(field.options).some((option) => option.selected !== option.defaultSelected) &&
      Array.from(field.options).some((option) => option.defaultSelected));

  // Requests the page again and replaces its main content. Returns false if that failed, so that the content is out of date.
  let refreshes = 0;
  const refresh = async () => {
    const own = ++refreshes;
    const response = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    const text = await response.text();
    // A refresh that started later has newer content.
    if (own !== refreshes) return true;
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("main");
    if (!fresh || fresh.dataset.view !== main.dataset.view) {
      // The problem that this page shows has been resolved.
      if (fresh && main.dataset.view === "problem") location.reload();
      return false;
    }
    const focused = main.contains(document.activeElement) && main !== document.activeElement ? locator(document.activeElement) : null;
    const opened = Array.from(main.querySelectorAll("details"), (details) => [locator(details), details.open]);
    const scrolled = Array.from(main.querySelectorAll(".scroll, pre, code"), (box) => {
      // A log that is scrolled to its end stays at its end.
      const isAtEnd = box.matches("pre") && box.scrollTop > 0 && box.scrollTop + box.clientHeight >= box.scrollHeight - 2;
      return [locator(box), box.scrollLeft, isAtEnd ? Number.MAX_SAFE_INTEGER : box.scrollTop];
    });
    const forms = Array.from(main.querySelectorAll("form")).filter(isEdited).map((form) => [locator(form), form]);
    const [x, y] = [scrollX, scrollY];
    main.replaceChildren(...fresh.childNodes);
    for (const name of ["data-live", "data-version", "data-now"]) {
      if (fresh.hasAttribute(name)) main.setAttribute(name, fresh.getAttribute(name));
    }
    main.toggleAttribute("data-store", fresh.hasAttribute("data-store"));
    clockOffset = Date.parse(main.dataset.now) - Date.now();
    const [line, freshLine] = [document, page].map((of) => of.querySelector(".foot code"));
    if (line && freshLine) line.dataset.api = freshLine.dataset.api;
    const [rejects, freshRejects] = [document, page].map((of) => of.getElementById("nav-rejects"));
    if (rejects && freshRejects) rejects.replaceChildren(...freshRejects.childNodes);
    for (const [locate, form] of forms) locate()?.replaceWith(form);
    for (const [locate, open] of opened) {
      const details = locate();
      if (details) details.open = open;
    }
    enhance();
    for (const [locate, left, top] of scrolled) locate()?.scrollTo(left, top);
    if (focused) {
      const element = focused();
      element?.focus({ preventScroll: true });
      // If the element is gone, keyboard users continue at the main content, not at the top of the window.
      if (!element || document.activeElement !== element) main.focus({ preventScroll: true });
    }
    scrollTo(x, y);
    return true;
  };

  // A form has changed the address.
  document.addEventListener("show-address", () => {
    refresh().then((isShown) => isShown || location.reload(), () => location.reload());
  });

  document.addEventListener("refresh", () => refresh().catch(() => {}));

  const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

  const showLiveState = (state, text) => {
    live.hidden = false;
    live.dataset.state = state;
    // Screen readers announce each assignment.
    if (live.textContent !== text) live.textContent = text;
  };

  // The server responds. What it shows may still be old.
  const showConnected = (isFresh) => {
    if (!isFresh) return showLiveState("stale", "Out of date");
    if (main.hasAttribute("data-store")) return showLiveState("degraded", "Live · store unreachable");
    showLiveState("on", "Live");
  };
  let lostAt = null; // when the server stopped responding

  let polling = null; // aborts the polling of a hidden page
  const poll = async () => {
    const own = polling = new AbortController();
    while (!own.signal.aborted) {
      try {
        const response = await fetch(`/page/live?state=${main.dataset.live}`, { signal: own.signal, cache: "no-store" });
        // The session has ended: the reloaded page shows the sign-in form.
        if (response.status === 401) return location.reload();
        if (!response.ok) throw new Error(String(response.status));
        const state = await response.text();
        const isFresh = state === main.dataset.live || await refresh();
        if (own.signal.aborted) return;
        lostAt = null;
        showConnected(isFresh);
        // A client error stays until the state changes. An unavailable server may recover at any time.
        const isClientError = main.dataset.view === "problem" && !main.querySelector("[data-status='503']");
        if (isClientError) main.dataset.live = state;
        // A failed refresh is retried after a pause.
        else if (state !== main.dataset.live) await pause(5000);
      } catch {
        if (own.signal.aborted) return;
        lostAt ??= new Date();
        showLiveState("lost", `Connection lost since ${lostAt.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
        await pause(3000);
      }
    }
  };
  if (main.dataset.live) {
    const pollWhileVisible = () => {
      polling?.abort();
      if (document.hidden) return;
      showConnected(true);
      poll();
    };
    document.addEventListener("visibilitychange", pollWhileVisible);
    addEventListener("pagehide", () => polling?.abort());
    // A page from the back/forward cache is out of date and must not keep the token.
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
    pollWhileVisible();
  }
  setInterval(updateTimes, 10000);

  // After a link from another site, the browser sends the session cookie only with a request that this page makes itself.
  if (document.querySelector("#problem[data-reload]")) location.replace(location.pathname + location.search);

  enhance();
})();
