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
  const element = (name, attributes, text) => {
    const created = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
    if (text !== undefined) created.textContent = text;
    return created;
  };
  // A copy of a drawing with its styles as attributes.
  const styled = (drawing, attributes) => {
    const copy = drawing.cloneNode(true);
    const originals = drawing.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((part, index) => {
      const style = getComputedStyle(originals[index]);
      for (const name of STYLES) part.setAttribute(name, style.getPropertyValue(name));
    });
    for (const [key, value] of Object.entries(attributes)) copy.setAttribute(key, value);
    return copy;
  };
  // The chart of a card with its title, legend, unit and scale.
  const svg = (card) => {
    const [scale, chart] = card.querySelectorAll("svg.chart");
    const [left, right] = [scale, chart].map((part) => part.getBoundingClientRect());
    const { color, fontFamily } = getComputedStyle(card);
    const [TOP, GAP] = [64, 8];
    const [width, height] = [left.width + GAP + right.width, TOP + right.height];
    const image = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, fill: color, "font-family": fontFamily, "font-size": 12 });
    image.append(element("rect", { width, height, fill: getComputedStyle(card).backgroundColor }));
    image.append(element("text", { y: 16, "font-size": 16, "font-weight": 600 }, card.querySelector("h2").textContent));
    let x = 0;
    for (const item of card.querySelectorAll(".legend li")) {
      const label = item.textContent.trim();
      const fill = getComputedStyle(item.querySelector("rect")).fill;
      image.append(element("rect", { x, y: 26, width: 10, height: 10, rx: 2, fill }), element("text", { x: x + 14, y: 35 }, label));
      x += 30 + 7 * label.length;
    }
    image.append(element("text", { y: 54 }, card.querySelector(".axis-title").textContent));
    image.append(styled(scale, { y: TOP, width: left.width, height: left.height, overflow: "visible" }));
    image.append(styled(chart, { x: left.width + GAP, y: TOP, width: right.width, height: right.height }));
    return new XMLSerializer().serializeToString(image);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-download]");
    if (!button) return;
    const card = button.closest("section");
    const name = card.getAttribute("aria-labelledby");
    if (button.dataset.download === "csv") save(`${name}.csv`, "text/csv", csv(card.querySelector("table")));
    else save(`${name}.svg`, "image/svg+xml", svg(card));
  });
})();
