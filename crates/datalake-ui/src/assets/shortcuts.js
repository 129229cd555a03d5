// Keyboard shortcuts, and local times.
(() => {
  const help = document.getElementById("help-dialog");
  const isEditing = (element) => element.matches("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");

  const openHelp = () => {
    if (!help.open) help.showModal();
  };
  for (const button of document.querySelectorAll("[data-help]")) {
    button.hidden = false;
    button.addEventListener("click", openHelp);
  }

  // The key after `g` must follow within this time.
  const SEQUENCE_MS = 1500;
  let prefixedAt = -Infinity;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isEditing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const isSecond = event.timeStamp - prefixedAt < SEQUENCE_MS;
    prefixedAt = -Infinity;
    if (isSecond) {
      const link = document.querySelector(`.top [data-shortcut="${CSS.escape(event.key)}"]`);
      if (link) location.assign(link.href);
      return;
    }
    switch (event.key) {
      case "g":
        prefixedAt = event.timeStamp;
        return;
      case "?":
        event.preventDefault();
        return openHelp();
      case "r":
        // The script of runs handles it on pages that have runs.
        if (document.dispatchEvent(new Event("run-shortcut", { cancelable: true }))) {
          location.assign(document.querySelector(".top [data-shortcut=r]").href + "#start");
        }
        return;
      case "/": {
        event.preventDefault();
        const field = Array.from(document.querySelectorAll("input[type=search]")).find((input) => input.checkVisibility());
        // The users page has the search field.
        if (field) field.focus();
        else location.assign(document.querySelector(".top [data-shortcut=u]").href + "#search");
      }
    }
  });
  // The link of the shortcut on another page.
  if (location.hash === "#search") document.querySelector("input[type=search]")?.focus();

  // Closes an open menu.
  addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // Times are in UTC; a pointer on one shows the local time as well. A button in the footer replaces all of them by local times.
  const local = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  document.getElementById("local-times").hidden = false;
  const showLocalTimes = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([data-is-local])")) {
      // page.js keeps relative times current, unless they are local.
      time.toggleAttribute("data-is-local", true);
      time.textContent = local.format(new Date(time.dateTime));
    }
  };
  if (document.documentElement.dataset.times) {
    const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    document.getElementById("time-zone").textContent = `Times are in ${zone}, those of charts and logs in UTC.`;
    document.addEventListener("enhanced", showLocalTimes);
    showLocalTimes();
  }
  addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (!time || time.dataset.local) return;
    time.dataset.local = local.format(new Date(time.dateTime));
    const utc = time.title || `${time.dateTime.slice(0, 16).replace("T", " ")} UTC`;
    time.title = `${utc}\n${time.dataset.local}`;
  });
})();
