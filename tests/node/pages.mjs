// Opens HTML files in Chromium with the network off and looks for what a reader would: requests, errors, text that is cut,
// that overlaps or that is hard to read, plots that are not drawn.
//
//   node pages.mjs ENVIRONMENT [--pictures FOLDER [--height PIXELS]] [--only 1280-light,…] FILE…
//
// ENVIRONMENT is what tests/setup-node prints. Pictures are of the whole page, or of its top. Prints the problems as JSON lines; exits with 1 if there are any.

import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const LOOKS = [1280, 390].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));

const [environment, ...rest] = process.argv.slice(2);
const files = [];
let pictures = null;
let top = null;
let looks = LOOKS;
while (rest.length) {
  const word = rest.shift();
  if (word === "--pictures") pictures = rest.shift();
  else if (word === "--height") top = Number(rest.shift());
  else if (word === "--only") {
    const only = rest.shift().split(",");
    looks = LOOKS.filter(({ width, scheme }) => only.includes(`${width}-${scheme}`));
  } else files.push(resolve(word));
}
if (pictures) mkdirSync(pictures, { recursive: true });

const { chromium } = createRequire(join(resolve(environment), "package.json"))("playwright-core");
const browser = await chromium.launch({
  executablePath: join(environment, "browser"),
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

let count = 0;
try {
  for (const file of files) {
    const found = await Promise.all(looks.map((look) => check(file, look)));
    looks.forEach((look, at) => found[at].forEach((problem) => {
      count += 1;
      console.log(JSON.stringify({ file: basename(file), ...look, ...problem }));
    }));
  }
} finally {
  await browser.close();
}
process.exit(count ? 1 : 0);

/** Opens a file in one look and gives what is wrong with it. */
async function check(file, { width, scheme }) {
  const address = pathToFileURL(file).href;
  const problems = [];
  const context = await browser.newContext({
    viewport: { width, height: top ?? 900 }, colorScheme: scheme, offline: true, reducedMotion: "reduce",
  });
  try {
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        problems.push({ kind: "console", text: message.text() });
      }
    });
    page.on("pageerror", (error) => problems.push({ kind: "console", text: String(error) }));
    page.on("dialog", (dialog) => {
      problems.push({ kind: "dialog", text: dialog.message() });
      dialog.dismiss();
    });
    page.on("request", (request) => {
      if (request.url() !== address && !request.url().startsWith("data:")) {
        problems.push({ kind: "request", text: request.url() });
      }
    });
    await page.route("**/*", (route) => route.request().url() === address ? route.continue() : route.abort());
    await page.goto(address, { waitUntil: "load" });
    const drawn = () => !document.querySelector("[data-plot]") || document.documentElement.dataset.plots === "drawn";
    await page.waitForFunction(drawn, null, { timeout: 30000 });
    if (pictures) {
      const name = `${basename(file, ".html")}-${width}-${scheme}.png`;
      await page.screenshot({ path: join(pictures, name), fullPage: top === null });
    }
    // What is folded must be as readable as what is not; and only what is inside the window can be asked for.
    await page.evaluate(() => document.querySelectorAll("details").forEach((folded) => { folded.open = true; }));
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.min(Math.max(height, 900), 30000) });
    problems.push(...await page.evaluate(look));
  } finally {
    await context.close();
  }
  return problems;
}

/** What is wrong with the page that this runs in. */
function look() {
  const problems = [];
  const say = (kind, text) => problems.push({ kind, text: String(text).replace(/\s+/g, " ").slice(0, 200) });
  // What does not take part in pointing cannot be found by its place.
  const style = document.createElement("style");
  style.textContent = "* { pointer-events: auto !important; }";
  document.head.append(style);

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    say("overflow", `the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  }

  const scrolls = (css, axis) => /auto|scroll/.test(css[axis]);
  const hides = (css, axis) => /hidden|clip/.test(css[axis]);

  // Every line of every text that can be seen, in the part of it that is not scrolled away.
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, noscript, .skip")) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest("title, desc")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      const place = { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
      let seen = true;
      for (let above = element; above && above !== document.body; above = above.parentElement) {
        const css = getComputedStyle(above);
        const frame = above.getBoundingClientRect();
        const isDrawing = above instanceof SVGSVGElement;
        const across = !isDrawing && scrolls(css, "overflowX");
        const down = !isDrawing && scrolls(css, "overflowY");
        if (across || down) {
          place.left = Math.max(place.left, frame.left);
          place.right = Math.min(place.right, frame.right);
          place.top = Math.max(place.top, frame.top);
          place.bottom = Math.min(place.bottom, frame.bottom);
          if (place.right - place.left < 1 || place.bottom - place.top < 1) { seen = false; break; }
          continue;
        }
        const cut = (isDrawing || hides(css, "overflowX")) && (place.left < frame.left - 1.5 || place.right > frame.right + 1.5) ||
          (isDrawing || hides(css, "overflowY")) && (place.top < frame.top - 1.5 || place.bottom > frame.bottom + 1.5);
        if (cut && !(above.hasAttribute("data-cut") && above.title)) say("cut", node.data);
      }
      if (seen) lines.push({ node, element, place });
    }
  }

  for (const element of document.body.querySelectorAll("*")) {
    const css = getComputedStyle(element);
    if (element instanceof SVGElement || !element.checkVisibility()) continue;
    const wide = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    const high = element.scrollHeight > element.clientHeight + 1 && element.clientHeight > 0;
    if ((wide && hides(css, "overflowX") || high && hides(css, "overflowY")) && element.textContent.trim() &&
        !(element.hasAttribute("data-cut") && element.title)) {
      say("cut", element.textContent);
    }
    if ((wide && scrolls(css, "overflowX") || high && scrolls(css, "overflowY")) && element.tabIndex < 0) {
      say("keyboard", `what scrolls cannot be reached by keyboard: ${element.className || element.tagName}`);
    }
  }

  // Lines of different texts that cover each other. The boxes are those of the font, which is higher than its letters.
  const inner = lines.map(({ node, place }) => {
    const slack = (place.bottom - place.top) * 0.2;
    return { node, left: place.left + 1, right: place.right - 1, top: place.top + slack, bottom: place.bottom - slack };
  }).sort((a, b) => a.top - b.top);
  inner.forEach((line, at) => {
    for (let next = at + 1; next < inner.length && inner[next].top < line.bottom; next += 1) {
      const other = inner[next];
      if (other.node !== line.node && other.left < line.right && line.left < other.right) {
        say("overlap", `${line.node.data.trim()} / ${other.node.data.trim()}`);
      }
    }
  });

  for (const frame of document.querySelectorAll("[data-plot]")) {
    const picture = frame.querySelector("svg, canvas");
    const box = picture && picture.getBoundingClientRect();
    const note = frame.querySelector("[data-note]");
    if (!note && !(box && box.width > 40 && box.height > 20)) say("plot", `not drawn: ${frame.getAttribute("aria-label")}`);
  }
  for (const image of document.images) {
    if (!image.complete || !image.naturalWidth) say("plot", `not shown: ${image.alt}`);
    if (!image.alt) say("plot", "an image without words");
  }

  // Contrast, as WCAG 2.2 counts it: 4.5 to 1, 3 to 1 for large text.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = "rgba(0,0,0,0)";
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(colour, [red, green, blue, alpha / 255]);
    }
    return known.get(colour);
  };
  const over = (top, bottom) => {
    const alpha = top[3] + bottom[3] * (1 - top[3]);
    const mix = (place) => alpha ? (top[place] * top[3] + bottom[place] * bottom[3] * (1 - top[3])) / alpha : 0;
    return [mix(0), mix(1), mix(2), alpha];
  };
  const luminance = ([red, green, blue]) => {
    const linear = (part) => part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const paper = rgba(matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#ffffff");
  const behind = (element, x, y) => {
    let colour = [0, 0, 0, 0];
    for (const below of document.elementsFromPoint(x, y)) {
      const css = getComputedStyle(below);
      const isShape = below instanceof SVGGeometryElement;
      if (below instanceof SVGElement && !isShape && !(below instanceof SVGSVGElement)) continue;
      const fill = isShape ? css.fill : css.backgroundColor;
      if (fill === "none" || fill.startsWith("url")) continue;
      const layer = [...rgba(fill)];
      layer[3] *= isShape ? Number(css.fillOpacity) * Number(css.opacity) : 1;
      colour = over(colour, layer);
      if (colour[3] > 0.999) break;
    }
    // The colour of the body is that of the whole window, however high the body is.
    return [document.body, root].map((element) => rgba(getComputedStyle(element).backgroundColor)).concat([paper]).reduce(over, colour);
  };
  const told = new Set();
  for (const { node, element, place } of lines) {
    const css = getComputedStyle(element);
    const drawn = element instanceof SVGElement;
    const ground = behind(element, (place.left + place.right) / 2, (place.top + place.bottom) / 2);
    const ink = over(rgba(drawn ? css.fill : css.color), ground);
    const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(css.fontSize);
    const large = size >= 24 || size >= 18.66 && Number(css.fontWeight) >= 700;
    const text = `${ratio.toFixed(2)} to 1: ${node.data.trim()}`;
    if (ratio < (large ? 3 : 4.5) && !told.has(text)) {
      told.add(text);
      say("contrast", text);
    }
  }
  return problems;
}
