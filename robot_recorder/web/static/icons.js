// Shapes: every state has one of its own, so that none is told by colour alone.

const SVG = "http://www.w3.org/2000/svg";

// name: [filled path, stroked path] in a square of 48
const SHAPES = {
  // states of a shift
  idle: ["", "M24 6a18 18 0 1 0 .1 0M14 24h20"],
  ready: ["M19 14l16 10-16 10z", "M24 5a19 19 0 1 0 .1 0"],
  countdown: [
    "",
    "M14 6h20M14 42h20M16 6c0 10 16 12 16 18s-16 8-16 18M32 6c0 10-16 12-16 18s16 8 16 18",
  ],
  recording: ["M24 8a16 16 0 1 0 .1 0z", ""],
  verdict: [
    "M24 35a2.5 2.5 0 1 0 .1 0z",
    "M24 5a19 19 0 1 0 .1 0M17 19c0-10 14-10 14 0 0 5-7 5-7 11",
  ],
  reset: ["M38 4v13H25z", "M38 16A17 17 0 1 0 41 26"],
  paused: ["M13 9h8v30h-8zM27 9h8v30h-8z", ""],
  done: ["M14 7h24l-7 9 7 9H14z", "M12 5v38"],
  unheard: ["", "M8 8l32 32M24 6a18 18 0 1 0 .1 0"],
  // verdicts and outcomes
  accept: ["", "M24 4a20 20 0 1 0 .1 0M14 25l7 7 13-15"],
  review: ["M24 33a2.5 2.5 0 1 0 .1 0z", "M24 5L44 41H4zM24 18v10"],
  reject: ["", "M16 4h16l12 12v16L32 44H16L4 32V16zM16 16l16 16M32 16L16 32"],
  unknown: ["", "M24 6a18 18 0 1 0 .1 0M16 24h16"],
  success: ["", "M8 26l10 11 22-27"],
  failure: ["", "M10 10l28 28M38 10L10 38"],
  unlabelled: ["", "M10 24h28"],
  // commands
  start: ["M24 10a14 14 0 1 0 .1 0z", ""],
  stop: ["M11 11h26v26H11z", ""],
  retry: ["M38 4v13H25z", "M38 16A17 17 0 1 0 41 26"],
  discard: ["", "M8 12h32M18 12V6h12v6M12 12l2 30h20l2-30M20 20v14M28 20v14"],
  undo: ["", "M18 8L8 18l10 10M8 18h20c16 0 16 22 0 22h-8"],
  pause: ["M13 9h8v30h-8zM27 9h8v30h-8z", ""],
  resume: ["M13 8l26 16-26 16z", ""],
  end: ["M14 7h24l-7 9 7 9H14z", "M12 5v38"],
  // health of streams
  ok: ["M24 12a12 12 0 1 0 .1 0z", ""],
  slow: ["M24 6L44 42H4z", ""],
  stale: ["", "M24 6a18 18 0 1 0 .1 0M24 14v11l8 5"],
  never: ["", "M10 10l28 28M38 10L10 38"],
  wrong_type: ["", "M8 16h32M8 32h32M34 6L14 42"],
  clock: ["", "M24 6a18 18 0 1 0 .1 0M24 12v13h9"],
  still: ["M13 9h8v30h-8zM27 9h8v30h-8z", ""],
  // the page
  warning: ["M24 33a2.5 2.5 0 1 0 .1 0z", "M24 5L44 41H4zM24 18v10"],
  information: ["M24 12a2.5 2.5 0 1 0 .1 0z", "M24 4a20 20 0 1 0 .1 0M24 22v13"],
  linked: ["M24 12a12 12 0 1 0 .1 0z", ""],
  cut: ["", "M8 40L40 8M6 24h8M34 24h8"],
  person: ["M24 6a8 8 0 1 0 .1 0zM8 42c0-20 32-20 32 0z", ""],
  disk: ["", "M6 30h36v12H6zM6 30l7-22h22l7 22M34 36h2"],
  settings: ["", "M6 14h22M36 14h6M28 8v12M6 34h6M20 34h22M20 28v12"],
  fullscreen: ["", "M6 16V6h10M32 6h10v10M42 32v10H32M16 42H6V32"],
  close: ["", "M10 10l28 28M38 10L10 38"],
  help: ["M24 35a2.5 2.5 0 1 0 .1 0z", "M17 17c0-10 14-10 14 0 0 6-7 6-7 12"],
  compare: ["", "M6 8h15v32H6zM27 8h15v32H27z"],
  robot: ["M18 24a3 3 0 1 0 .1 0zM30 24a3 3 0 1 0 .1 0z", "M8 16h32v24H8zM24 16V6M4 26v6M44 26v6"],
  upload: ["", "M24 34V10M13 20l11-11 11 11M8 42h32"],
  stored: ["", "M8 8h32v10H8zM8 18h32v22H8zM17 29l5 5 9-10"],
  trash: ["", "M8 12h32M18 12V6h12v6M12 12l2 30h20l2-30"],
};

export function icon(name) {
  const [filled, line] = SHAPES[name] ?? SHAPES.unknown;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 48 48");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  for (const [path, fill] of [
    [filled, true],
    [line, false],
  ]) {
    if (!path) continue;
    const shape = document.createElementNS(SVG, "path");
    shape.setAttribute("d", path);
    shape.setAttribute("fill", fill ? "currentColor" : "none");
    if (!fill) {
      shape.setAttribute("stroke", "currentColor");
      shape.setAttribute("stroke-width", "4.5");
      shape.setAttribute("stroke-linecap", "round");
      shape.setAttribute("stroke-linejoin", "round");
    }
    svg.append(shape);
  }
  return svg;
}

/** Show an icon in a holder; nothing happens if it is there already. */
export function setIcon(holder, name) {
  if (holder.dataset.icon === name) return;
  holder.dataset.icon = name;
  holder.replaceChildren(icon(name));
}
