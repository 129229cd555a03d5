// Enhances pages that work without it: copy buttons, live updates, and buttons that start, follow and stop a run.
// It stores nothing in the browser; the token is kept in this page's memory.
"use strict";
(() => {
  const main = document.querySelector("main");
  const live = document.getElementById("live");
  let token = null; // the token that the user entered to start or stop runs
  let followed = null; // the run that this page follows, as the API returns it, or the error of a request to start one
  let events = null; // the event source of the followed run
  let stopping = null; // the ID of the run that this page has stopped

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
    const button = event.target.closest("button.copy");
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
    for (const element of document.querySelectorAll("[data-ago]")) {
      // Either a `time` element, or text in parentheses after one.
      const isTime = element.matches("time");
      const at = Date.parse((isTime ? element : element.previousElementSibling).dateTime);
      const text = ago(Math.trunc((Date.now() + clockOffset - at) / 1000));
      element.textContent = isTime ? text : `(${text})`;
    }
  };

  // The attribute `disabled` would remove the focus from the button.
  const setDisabled = (button, isDisabled) => button.setAttribute("aria-disabled", isDisabled);
  const isDisabled = (button) => button.getAttribute("aria-disabled") === "true";

  const enhance = () => {
    for (const code of document.querySelectorAll("code[data-api]")) {
      const command = code.dataset.command || "curl";
      code.textContent = `${command} '${location.origin}${code.dataset.api}'`;
    }
    for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
    const start = document.getElementById("start-run");
    if (start) {
      start.querySelector(".curl").hidden = true;
      const button = start.querySelector("button[data-start]");
      button.hidden = false;
      setDisabled(button, isActive(followed));
    }
    const stop = document.getElementById("stop-run");
    if (stop) {
      stop.querySelector(".curl").hidden = true;
      const button = stop.querySelector("button[data-stop]");
      button.hidden = false;
      setDisabled(button, stopping === button.dataset.stop);
      if (isDisabled(button)) stop.querySelector("#stop-state").textContent = "Stopping…";
    }
    const active = main.querySelector("[data-follow]")?.dataset;
    if (active && followed?.id !== active.follow) followRun({ id: active.follow, state: active.state });
    showRun();
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

  const isEdited = (form) => Array.from(form.elements).some((field) =>
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
    clockOffset = Date.parse(main.dataset.now) - Date.now();
    const [line, freshLine] = [document, page].map((of) => of.querySelector(".foot code"));
    if (line && freshLine) line.dataset.api = freshLine.dataset.api;
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

  const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

  const showLiveState = (state, text) => {
    live.hidden = false;
    live.dataset.state = state;
    // Screen readers announce each assignment.
    if (live.textContent !== text) live.textContent = text;
  };

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
        showLiveState(isFresh ? "on" : "stale", isFresh ? "Live" : "Out of date");
        // A client error stays until the state changes. An unavailable server may recover at any time.
        const isClientError = main.dataset.view === "problem" && !main.querySelector("[data-status='503']");
        if (isClientError) main.dataset.live = state;
        // A failed refresh is retried after a pause.
        else if (state !== main.dataset.live) await pause(5000);
      } catch {
        if (own.signal.aborted) return;
        showLiveState("lost", "Connection lost");
        await pause(3000);
      }
    }
  };
  if (main.dataset.live) {
    const pollWhileVisible = () => {
      polling?.abort();
      if (document.hidden) return;
      showLiveState("on", "Live");
      poll();
    };
    document.addEventListener("visibilitychange", pollWhileVisible);
    addEventListener("pagehide", () => { polling?.abort(); events?.close(); });
    // A page from the back/forward cache is out of date and must not keep the token.
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
    pollWhileVisible();
  }
  setInterval(updateTimes, 10000);

  // The log of an active run grows without a change of the lake's state. Selected text is kept.
  setInterval(() => {
    const isSelecting = !getSelection().isCollapsed;
    if (main.querySelector("[data-follow]") && !document.hidden && !isSelecting) refresh().catch(() => {});
  }, 2000);

  // Runs.

  const isActive = (run) => run !== null && (run.state === "pending" || run.state === "running");

  function showRun() {
    const state = document.getElementById("run-state");
    if (!state || followed === null) return;
    if (followed.error) {
      state.textContent = followed.error;
      state.dataset.state = "error";
      return;
    }
    state.dataset.state = followed.state;
    state.dataset.runId = followed.id;
    const link = createElement("a", followed.id, { href: `/page/runs/${encodeURIComponent(followed.id)}` });
    const counts = followed.counts;
    const changes = counts ? `: ${counts.added} added, ${counts.changed} changed, ${counts.removed} removed` : "";
    const joined = followed.joined ? " (already running)" : "";
    state.replaceChildren("Run ", link, ` ${followed.state}${changes}${isActive(followed) ? joined : ""}`);
  }

  const followRun = (run) => {
    followed = run;
    enhance();
    events?.close();
    if (!isActive(run)) return void refresh();
    events = new EventSource(`/runs/${encodeURIComponent(run.id)}/events`);
    events.addEventListener("error", () => {
      // The browser reconnects by itself, unless the server has rejected the request.
      if (events.readyState !== EventSource.CLOSED) return;
      followed = null;
      enhance();
      refresh();
    });
    events.addEventListener("state", (event) => {
      followed = { ...JSON.parse(event.data), joined: run.joined };
      if (isActive(followed)) return enhance();
      events.close();
      enhance();
      refresh();
    });
  };

  // Opens the token dialog; null if the user cancels it.
  const requestToken = (isInvalid) => new Promise((resolve) => {
    const dialog = document.getElementById("token-dialog");
    const field = dialog.querySelector("input");
    dialog.querySelector("[data-invalid-token]").hidden = !isInvalid;
    field.value = "";
    dialog.onclose = () => {
      const entered = dialog.returnValue === "send" ? field.value.trim() : "";
      field.value = "";
      resolve(entered || null);
    };
    dialog.returnValue = "";
    dialog.showModal();
    field.focus();
  });

  // Sends the request of a button. Returns null if the button is disabled or the user enters no token.
  const send = async (button, path, options) => {
    if (isDisabled(button)) return null;
    const needsToken = button.parentElement.dataset.needsToken !== undefined;
    if (needsToken && token === null && (token = await requestToken(false)) === null) return null;
    for (;;) {
      setDisabled(button, true);
      const headers = { ...options.headers };
      if (token !== null) headers.authorization = `Bearer ${token}`;
      const response = await fetch(path, { ...options, headers });
      const body = await response.json();
      if (response.status !== 401) return { body, error: response.ok ? null : `${body.title}: ${body.detail}` };
      token = await requestToken(token !== null);
      if (token === null) return null;
    }
  };

  const startRun = async (button) => {
    const headers = { "content-type": "application/json" };
    const result = await send(button, "/data", { method: "POST", headers, body: JSON.stringify({ mode: button.dataset.start }) });
    if (result === null) return enhance();
    if (result.error) {
      followed = result;
      return enhance();
    }
    const active = Array.from(document.querySelectorAll("[data-active-run]"), (node) => node.dataset.activeRun);
    followRun({ ...result.body, joined: active.includes(result.body.id) });
  };

  const stopRun = async (button) => {
    const id = button.dataset.stop;
    const result = await send(button, `/runs/${encodeURIComponent(id)}`, { method: "DELETE" });
    if (result !== null && !result.error) stopping = id;
    enhance();
    const state = document.getElementById("stop-state");
    if (state && result?.error) state.textContent = result.error;
  };

  document.addEventListener("click", (event) => {
    const start = event.target.closest("#start-run button[data-start]");
    const stop = event.target.closest("#stop-run button[data-stop]");
    const noResponse = "The server did not respond. Try again in a moment.";
    if (start) {
      startRun(start).catch(() => {
        followed = { error: noResponse };
        enhance();
      });
    }
    if (stop) {
      stopRun(stop).catch(() => {
        enhance();
        document.getElementById("stop-state").textContent = noResponse;
      });
    }
  });

  // After a link from another site, the browser sends the session cookie only with a request that this page makes itself.
  if (document.querySelector("#problem[data-reload]")) location.replace(location.pathname + location.search);

  enhance();
})();
