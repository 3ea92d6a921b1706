// Draws the Vega-Lite plots of a page. Their content comes from steps, so nothing in it may load or run anything.
(function () {
  "use strict";

  const LIGHT = { ink: "#1b2128", muted: "#56606d", line: "#dfe3e8", accent: "#1f5fb0",
    colours: ["#1f5fb0", "#c2571a", "#2a7f62", "#8a4fa3", "#b8860b", "#b3324b", "#4c7a8f", "#6b6f76"],
    ramp: ["#eaf2fb", "#6ea8dc"] };
  const DARK = { ink: "#e5e9ee", muted: "#a0abb8", line: "#2c343d", accent: "#7db4f5",
    colours: ["#7db4f5", "#f0a06a", "#79cba8", "#cba0e0", "#e3c05c", "#f08fa0", "#93c0d4", "#aab2bd"],
    ramp: ["#1e2a36", "#29618f"] };
  // A plot of this width is easy to read; what has no width of its own gets it, where there is room.
  const WIDTH = 560;
  const NARROW = 460;
  // Below this part of its size a plot is not shrunk but scrolled.
  const SMALLEST = 0.6;
  // More marks than this are drawn as pixels.
  const MANY = 3000;

  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const refuse = () => Promise.reject(new Error("a page loads nothing"));
  const loader = {
    load: refuse, http: refuse, file: refuse,
    sanitize: (address) => /^data:image\//i.test(address) ? Promise.resolve({ href: address }) : refuse(),
  };

  function config(theme, room) {
    const text = { labelColor: theme.muted, titleColor: theme.ink };
    // Beside a narrow picture there is no room for a legend.
    const legend = room < NARROW ? { orient: "bottom", columns: 1, labelLimit: room - 120, titleLimit: room - 120 } : { labelLimit: 220 };
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: "transparent", font: font,
      axis: Object.assign({ gridColor: theme.line, domainColor: theme.line, tickColor: theme.line,
        labelLimit: Math.min(160, Math.round(room * 0.3)),
        labelFontSize: 11, titleFontSize: 12, titleFontWeight: 500, titlePadding: 8 }, text),
      legend: Object.assign({ symbolBaseFillColor: theme.muted, symbolBaseStrokeColor: theme.muted, labelFontSize: 11, titleFontSize: 12, titleFontWeight: 500 }, legend, text),
      header: text,
      title: { color: theme.ink, subtitleColor: theme.muted, fontSize: 13, fontWeight: 600,
        anchor: "start", frame: "bounds", limit: room - 16 },
      view: { stroke: theme.line, step: 24 },
      mark: { color: theme.accent },
      text: { color: theme.ink },
      rule: { color: theme.muted },
      range: { category: theme.colours, ramp: theme.ramp, heatmap: theme.ramp, ordinal: theme.ramp },
    };
  }

  function logger(problems) {
    const quiet = () => self;
    const self = {
      level: quiet, warn: quiet, info: quiet, debug: quiet,
      error: (...words) => { problems.push(words.join(" ")); return self; },
    };
    return self;
  }

  const isVega = (spec) => /\/schema\/vega\/v/.test(String(spec.$schema));
  // One picture, not several beside each other.
  const isSingle = (spec) => !isVega(spec) && (spec.mark || spec.layer) &&
    !["row", "column", "facet"].some((channel) => (spec.encoding || {})[channel]);
  const isContinuous = (spec) => [spec].concat(spec.layer || []).some((part) => {
    const x = ((part || {}).encoding || {}).x;
    return x && (x.type === "quantitative" || x.type === "temporal");
  });
  const rows = (value) => Array.isArray(value) ? value.length
    : value && typeof value === "object" ? Object.values(value).reduce((sum, part) => Math.max(sum, rows(part)), 0) : 0;

  // A title in as many lines as it needs.
  const pen = document.createElement("canvas").getContext("2d");
  function wrapped(spec, room) {
    const title = typeof spec.title === "object" && spec.title ? spec.title : { text: spec.title };
    if (typeof title.text !== "string") return spec;
    pen.font = "600 13px " + getComputedStyle(document.body).fontFamily;
    const lines = [""];
    for (const word of title.text.split(" ")) {
      const longer = (lines[lines.length - 1] + " " + word).trim();
      if (pen.measureText(longer).width <= room - 16 || !lines[lines.length - 1]) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return Object.assign({}, spec, { title: Object.assign({}, title, { text: lines }) });
  }

  async function view(host, spec, theme, room) {
    const problems = [];
    const log = logger(problems);
    const look = config(theme, room);
    const vegaSpec = isVega(spec) ? spec : vegaLite.compile(spec, { config: look, logger: log }).spec;
    const made = new vega.View(vega.parse(vegaSpec, isVega(spec) ? look : {}, { ast: true }), {
      expr: vega.expressionInterpreter, loader: loader, logger: log, container: host,
      renderer: rows(spec) > MANY ? "canvas" : "svg",
    });
    await made.runAsync();
    if (problems.length) throw new Error(problems[0]);
    return made;
  }

  const widthOf = (host) => {
    const picture = host.querySelector("svg, canvas");
    return picture ? picture.getBoundingClientRect().width : 0;
  };

  // Draws into a frame; what is too wide is laid out again, narrower, or shrunk.
  async function draw(frame, original) {
    const host = document.createElement("div");
    frame.replaceChildren(host);
    const room = frame.clientWidth;
    const own = original.background || (original.config || {}).background;
    const theme = !own && scheme.matches ? DARK : LIGHT;
    const fit = { type: "fit-x", contains: "padding" };
    let spec = isVega(original) ? original : wrapped(original, room);
    if (isSingle(spec) && spec.width === undefined && isContinuous(spec)) {
      spec = Object.assign({ height: 220, autosize: fit }, spec, { width: Math.min(WIDTH, room) });
    }
    let made = await view(host, spec, theme, room);
    const natural = widthOf(host);
    if (natural > room && isSingle(spec) && isContinuous(spec)) {
      made.finalize();
      host.replaceChildren();
      const height = typeof spec.height === "number" ? { height: Math.min(spec.height, Math.max(160, Math.round(spec.height * room / natural))) } : {};
      made = await view(host, Object.assign({}, spec, { width: room, autosize: fit }, height), theme, room);
    }
    const drawn = widthOf(host);
    if (drawn > room) {
      const picture = host.querySelector("svg, canvas");
      picture.style.width = Math.max(room, drawn * SMALLEST) + "px";
      picture.style.height = "auto";
      host.style.maxWidth = "none";
    }
    frame.dataset.drawn = own ? "own" : theme === DARK ? "dark" : "light";
    return made;
  }

  async function show(plot) {
    if (plot.view) plot.view.finalize();
    plot.view = null;
    plot.width = plot.frame.clientWidth;
    try {
      plot.view = await draw(plot.frame, JSON.parse(plot.source));
    } catch (problem) {
      const note = document.createElement("p");
      note.className = "note";
      note.dataset.note = "";
      note.textContent = "This plot cannot be drawn: " + problem.message;
      plot.frame.replaceChildren(note);
      plot.frame.dataset.drawn = "failed";
    }
  }

  const plots = Array.from(document.querySelectorAll("[data-plot]"), (frame) => (
    { frame: frame, source: frame.parentElement.querySelector("script[type='application/json']").textContent }));
  let turn = Promise.resolve();
  function showAll(wanted) {
    turn = turn.then(async () => {
      document.documentElement.dataset.plots = "drawing";
      for (const plot of plots.filter(wanted)) await show(plot);
      document.documentElement.dataset.plots = "drawn";
    });
  }
  showAll(() => true);
  scheme.addEventListener("change", () => showAll(() => true));
  let pause;
  addEventListener("resize", () => {
    clearTimeout(pause);
    pause = setTimeout(() => showAll((plot) => plot.frame.clientWidth !== plot.width), 150);
  });
})();
