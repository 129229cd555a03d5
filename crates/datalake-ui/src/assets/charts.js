// Tooltips of charts, and their download.
(() => {
  const tooltip = document.createElement("div");
  tooltip.className = "tooltip";
  tooltip.setAttribute("aria-hidden", "true");
  tooltip.hidden = true;
  document.body.append(tooltip);
  let shown = null; // the mark whose tooltip is visible

  const hide = () => {
    tooltip.hidden = true;
    shown = null;
  };
  const show = (mark) => {
    const title = mark.querySelector("title");
    // Without its title, the mark has no second tooltip of the browser.
    if (title) {
      mark.dataset.tip = title.textContent;
      title.remove();
    }
    shown = mark;
    tooltip.textContent = mark.dataset.tip;
    tooltip.hidden = false;
    const box = mark.getBoundingClientRect();
    const { width, height } = tooltip.getBoundingClientRect();
    const x = Math.min(Math.max(box.left + box.width / 2 - width / 2, 8), innerWidth - width - 8);
    const above = box.top - height - 6;
    tooltip.style.left = `${x + scrollX}px`;
    tooltip.style.top = `${(above > 4 ? above : box.top + 12) + scrollY}px`;
  };
  const markOf = (target) => target.closest?.("svg.chart [data-mark], svg.line [data-mark]");
  document.addEventListener("pointerover", (event) => {
    const mark = markOf(event.target);
    if (!mark) return hide();
    if (mark !== shown && event.pointerType !== "touch") show(mark);
  });
  // The first tap shows the tooltip, the second one follows the link.
  document.addEventListener("click", (event) => {
    const mark = markOf(event.target);
    if (!mark) return hide();
    if (event.pointerType !== "touch" || mark === shown) return;
    event.preventDefault();
    show(mark);
  });
  addEventListener("scroll", hide, { passive: true });

  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const csv = (table) => Array.from(table.rows, (row) => Array.from(row.cells, (cell) => {
    const text = (cell.querySelector("[title]")?.title ?? cell.textContent).trim().replace(/^(\d{1,3})(,\d{3})+$/, (number) => number.replaceAll(",", ""));
    return /[",\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
  }).join(",")).join("\r\n") + "\r\n";
  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "font-size", "font-weight", "font-family", "text-anchor"];
  const svg = (chart) => {
    const copy = chart.cloneNode(true);
    const originals = chart.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, index) => {
      const style = getComputedStyle(originals[index]);
      for (const name of STYLES) element.setAttribute(name, style.getPropertyValue(name));
    });
    const { width, height } = chart.getBoundingClientRect();
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    return new XMLSerializer().serializeToString(copy);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-download]");
    if (!button) return;
    const card = button.closest("section");
    const name = card.getAttribute("aria-labelledby");
    if (button.dataset.download === "csv") save(`${name}.csv`, "text/csv", csv(card.querySelector("details table")));
    else save(`${name}.svg`, "image/svg+xml", svg(card.querySelector("svg.chart:not(.scale)")));
  });
})();
