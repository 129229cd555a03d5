// Buttons that start, follow and stop a run, and the progress of an active run. The token is kept in this page's memory, and nowhere else.
(() => {
  const main = document.querySelector("main");
  let token = null; // the token that the user entered to start or stop runs
  let followed = null; // the run that this page follows, as the API returns it, or the error of a request to start one
  let events = null; // the event source of the followed run
  let stopping = null; // the ID of the run that this page has stopped

  // Labels of states, the same as `state_label` in run.rs.
  const LABELS = {
    pending: "Queued",
    running: "Running",
    succeeded: "Succeeded",
    failed: "Failed",
    blocked: "Blocked",
    misconfigured: "Invalid configuration",
    stopped: "Stopped",
  };

  const refresh = () => document.dispatchEvent(new Event("refresh"));

  // The attribute `disabled` would remove the focus from the button.
  const setDisabled = (button, isDisabled) => button.setAttribute("aria-disabled", isDisabled);
  const isDisabled = (button) => button.getAttribute("aria-disabled") === "true";

  const enhance = () => {
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
    const allow = document.getElementById("allow-once");
    if (allow) {
      allow.querySelector(".curl").hidden = true;
      const button = allow.querySelector("button[data-allow]");
      button.hidden = false;
      setDisabled(button, isActive(followed));
    }
    const active = main.querySelector("[data-follow]")?.dataset;
    if (active && followed?.id !== active.follow) followRun({ id: active.follow, state: active.state });
    showRun();
  };
  document.addEventListener("enhanced", enhance);
  addEventListener("pagehide", () => events?.close());

  // The log of an active run grows without a change of the lake's state. Selected text is kept.
  setInterval(() => {
    const isSelecting = !getSelection().isCollapsed;
    if (main.querySelector("[data-follow]") && !document.hidden && !isSelecting) refresh();
  }, 2000);

  const isActive = (run) => run !== null && (run.state === "pending" || run.state === "running");

  // A message about a run is shown until the user closes it, or until some seconds after a success.
  const SUCCESS_MS = 8000;
  let closed = null; // the run or error whose message is closed
  let closing = null; // the run whose message will be closed
  const closeMessage = (run) => {
    closed = run;
    const state = document.getElementById("run-state");
    if (state && sameRun(followed, run)) state.replaceChildren();
  };
  const sameRun = (run, other) => run === other || run?.id !== undefined && run.id === other?.id;
  function showRun() {
    const state = document.getElementById("run-state");
    if (!state || followed === null || sameRun(followed, closed)) return;
    const run = followed;
    const close = document.createElement("button");
    Object.assign(close, { type: "button", className: "close", textContent: "×", onclick: () => closeMessage(run) });
    close.setAttribute("aria-label", "Close");
    const text = document.createElement("span");
    state.dataset.state = run.error ? "error" : run.state;
    if (run.error) {
      text.append(...prose(run.error));
    } else {
      state.dataset.runId = run.id;
      const link = document.createElement("a");
      [link.textContent, link.href, link.title] = ["Run", runPage(run.id), run.id];
      text.append(link, `: ${LABELS[run.state] ?? run.state}${isActive(run) ? showProgress() : showChanges(run.counts)}`);
    }
    state.replaceChildren(text, close);
    if (run.state !== "succeeded" || sameRun(run, closing)) return;
    closing = run;
    setTimeout(closeMessage, SUCCESS_MS, run);
  }
  const runPage = (id) => `/page/runs/${encodeURIComponent(id)}`;

  // Text between backticks is code, as in components::prose. An unpaired backtick is part of the text.
  const prose = (message) => {
    const parts = message.split("\x60");
    if (parts.length % 2 === 0) return [message];
    return parts.map((part, index) => index % 2 === 0 ? part : Object.assign(document.createElement("code"), { textContent: part }));
  };

  // Formats numbers the same as `number` in format.rs.
  const number = (count) => count.toLocaleString("en");
  function showChanges(counts) {
    if (!counts || followed.state !== "succeeded") return "";
    const rejected = counts.rejected_new > 0 ? `, ${number(counts.rejected_new)} newly rejected` : "";
    return `, ${number(counts.added)} added, ${number(counts.changed)} changed, ${number(counts.removed)} removed${rejected}`;
  }
  function showProgress() {
    const { progress } = followed;
    if (!progress) return followed.joined ? " (already running)" : "";
    return `, ${progress.label}${progress.total ? `, ${number(progress.done)} of ${number(progress.total)}` : ""}`;
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
    events.addEventListener("progress", (event) => {
      followed = { ...followed, progress: JSON.parse(event.data) };
      showRun();
      showPhases();
    });
    events.addEventListener("state", (event) => {
      followed = { ...JSON.parse(event.data), joined: run.joined };
      if (isActive(followed)) return enhance();
      events.close();
      enhance();
      refresh();
    });
  };

  // Updates the list of phases on the page of the run.
  function showPhases() {
    const { phase, done, total } = followed.progress;
    const list = document.getElementById("phases");
    const current = list?.querySelector(`[data-phase="${phase}"]`);
    if (!current) return;
    let isDone = true;
    for (const item of list.children) {
      if (item === current) isDone = false;
      item.dataset.state = item === current ? "active" : isDone ? "done" : "waiting";
      if (item === current) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    }
    current.querySelector(".count").textContent = total ? `${number(done)} of ${number(total)}` : done ? number(done) : "";
    const bar = document.querySelector("#progress progress");
    if (total) [bar.max, bar.value] = [total, done];
    else bar.removeAttribute("value");
  }

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
    closed = null;
    const headers = { "content-type": "application/json" };
    const body = button.dataset.allow ? { allow_mass_delete_of: button.dataset.allow } : { mode: button.dataset.start };
    const result = await send(button, "/data", { method: "POST", headers, body: JSON.stringify(body) });
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
    if (state && result?.error) state.replaceChildren(...prose(result.error));
  };

  document.addEventListener("click", (event) => {
    const start = event.target.closest("#start-run button[data-start], #allow-once button[data-allow]");
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

  // The shortcut `r` starts a run, or goes to the active one. On other pages it leads to the button.
  document.addEventListener("run-shortcut", (event) => {
    const active = isActive(followed) ? followed.id : document.querySelector("[data-active-run]")?.dataset.activeRun;
    const button = document.querySelector("#start-run button[data-start]");
    if (active) location.assign(runPage(active));
    else if (button) button.click();
    else return;
    event.preventDefault();
  });
  enhance();
  // No element has this ID: a browser that scrolls to an element without focus would remove the focus.
  if (location.hash === "#start") document.querySelector("#start-run button[data-start]")?.focus();
})();
