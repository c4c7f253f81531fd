"use strict";
(() => {
  const PER_PAGE = 20, SLICE = 8 /* ms of drawing in one frame */, SHEETS = 60 /* pictures kept ready */;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { pairs, views, videos } = data;
  const element = id => document.getElementById(id);
  const FACETS = ["name", "strength", "source", "kind"];
  const SORTS = {
    "": ["video", null, 1],
    "difficulty": ["difficulty, easy first", pair => pair.difficulty, 1],
    "-difficulty": ["difficulty, hard first", pair => pair.difficulty, -1],
    "margin": ["margin, smallest first", pair => pair.scores.margin, 1],
    "-margin": ["margin, largest first", pair => pair.scores.margin, -1],
    "divergence": ["divergence, smallest first", pair => pair.scores.divergence, 1],
    "-divergence": ["divergence, largest first", pair => pair.scores.divergence, -1],
  };
  const SCORES = {
    logp_chosen: "log p (chosen)", logp_rejected: "log p (rejected)", margin: "margin", logp_chosen_perturbed: "log p (chosen), perturbed",
    divergence: "divergence", first_token_kl: "first-token KL", ches: "CHES", tokens_chosen: "tokens (chosen)", tokens_rejected: "tokens (rejected)",
  };
  const number = new Intl.NumberFormat("en-US"), decimal = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  for (const pair of pairs) {
    pair.text = (pair.prompt + "\n" + pair.chosen + "\n" + pair.rejected).toLowerCase();
    pair.path = videos[pair.video].path;
  }

  // ---- state: what the controls say, kept in the address so that a link leads to the same pairs
  const CONTROLS = ["q", "name", "strength", "source", "kind", "video", "from", "to", "sort"];
  let page = 1, found = pairs, drawing = 0, addressTimer = 0;
  const state = () => Object.fromEntries(CONTROLS.map(key => [key, element(key).value]));
  const readAddress = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const key of CONTROLS) {
      const control = element(key), value = said.get(key) || "";
      if (control.tagName === "SELECT" && ![...control.options].some(option => option.value === value)) control.value = "";
      else control.value = value;
    }
    page = Math.max(1, parseInt(said.get("page"), 10) || 1);
  };
  const writeAddress = () => {
    clearTimeout(addressTimer); // browsers bound how often an address may change
    addressTimer = setTimeout(sayAddress, 120);
  };
  const sayAddress = () => {
    const said = new URLSearchParams(Object.entries(state()).filter(([, value]) => value));
    if (page > 1) said.set("page", page);
    history.replaceState(null, "", "#" + said);
  };

  // ---- filters
  const shown = value => value === null ? "none" : String(value);
  const isChosen = (pair, wanted, except) =>
    FACETS.every(facet => facet === except || !wanted[facet] || shown(pair[facet]) === wanted[facet]);
  const passes = (pair, wanted) => wanted.words.every(word => pair.text.includes(word))
    && (!wanted.path || pair.path.toLowerCase().includes(wanted.path))
    && (wanted.low === null || (isNumber(pair.difficulty) && pair.difficulty >= wanted.low))
    && (wanted.high === null || (isNumber(pair.difficulty) && pair.difficulty <= wanted.high));
  const isNumber = value => typeof value === "number";
  const bound = text => text === "" || Number.isNaN(Number(text)) ? null : Number(text);
  const wish = () => {
    const said = state();
    return { ...said, words: said.q.toLowerCase().split(/\s+/).filter(Boolean), path: said.video.trim().toLowerCase(),
      low: bound(said.from), high: bound(said.to) };
  };
  const order = (chosen, sort) => {
    const [, value, sign] = SORTS[sort] || SORTS[""];
    if (!value) return chosen;
    // what was not measured comes last, whichever way
    return chosen.map((pair, place) => [value(pair), place, pair]).sort(([a, i], [b, j]) =>
      (isNumber(b) - isNumber(a)) || (isNumber(a) && a !== b ? sign * (a - b) : i - j)).map(row => row[2]);
  };
  const countFacets = (passing, wanted) => {
    for (const facet of FACETS) {
      const counts = new Map();
      for (const pair of passing) if (isChosen(pair, wanted, facet)) counts.set(shown(pair[facet]), (counts.get(shown(pair[facet])) || 0) + 1);
      for (const option of element(facet).options) option.textContent = option.value === "" ? "any" : `${option.value} (${number.format(counts.get(option.value) || 0)})`;
    }
  };
  const update = keepPage => {
    const wanted = wish(), passing = pairs.filter(pair => passes(pair, wanted));
    found = order(passing.filter(pair => isChosen(pair, wanted, "")), wanted.sort);
    countFacets(passing, wanted);
    if (!keepPage) page = 1;
    draw();
  };

  // ---- drawing: text nodes only, never markup
  const make = (tag, className, ...children) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children.filter(child => child !== null));
    return made;
  };
  const pages = () => Math.max(1, Math.ceil(found.length / PER_PAGE));
  const sheetRules = element("sheets").sheet, drawn = new Set();
  const draw = () => {
    page = Math.min(Math.max(1, page), pages());
    writeAddress();
    element("status").textContent = `${number.format(found.length)} of ${number.format(pairs.length)} pairs`;
    for (const pager of document.querySelectorAll(".pager")) {
      const [first, , last] = pager.children;
      first.disabled = page === 1;
      last.disabled = page === pages();
      pager.children[1].textContent = `page ${number.format(page)} of ${number.format(pages())}`;
    }
    const list = element("pairs"), here = found.slice((page - 1) * PER_PAGE, page * PER_PAGE), mine = ++drawing;
    list.replaceChildren();
    if (sheetRules.cssRules.length > SHEETS) {
      while (sheetRules.cssRules.length) sheetRules.deleteRule(0);
      drawn.clear();
    }
    if (!here.length) list.append(make("li", "none-left", "No pair fits these filters."));
    // card by card, a slice of time a frame: a click is answered at once, whatever the cards hold
    const more = start => {
      if (mine !== drawing) return;
      const until = performance.now() + SLICE;
      let next = start;
      do if (next < here.length) list.append(make("li", "", card(here[next++])));
      while (next < here.length && performance.now() < until);
      if (next < here.length) requestAnimationFrame(() => more(next));
      else list.dataset.drawn = String(mine);
    };
    more(0);
  };
  const picture = index => {
    if (!drawn.has(index)) {
      drawn.add(index);
      sheetRules.insertRule(`.sheet-${index} { background-image: url(data:image/jpeg;base64,${element("sprite-" + index).textContent}) }`);
    }
    return `sheet-${index}`;
  };
  // thousands of slots are drawn on a page: each is a copy of this one, styled in one go
  const emptySlot = make("li", "frame", make("div", "cell"), make("div", "frame-caption"));
  emptySlot.firstChild.setAttribute("aria-hidden", "true");
  const slot = (view, place, clean) => {
    const cell = view.cells[place], source = view.sources[place], index = view.videos[place] ?? view.video, sheet = videos[index].sheet;
    const made = emptySlot.cloneNode(true), box = made.firstChild, caption = made.lastChild;
    if (source >= 0) made.classList.add(`segment-${clean.parts[source] % 6}`);
    let style = `aspect-ratio:${sheet ? sheet.width : 16}/${sheet ? sheet.height : 9}`;
    if (cell === -1) box.classList.add("blank");
    else if (cell < 0 || !sheet) box.classList.add("none");
    else {
      const { columns, rows } = sheet, column = cell % columns, row = Math.floor(cell / columns);
      box.classList.add(picture(index));
      style += `;background-size:${columns * 100}% ${rows * 100}%;background-position:`
        + `${columns > 1 ? 100 * column / (columns - 1) : 0}% ${rows > 1 ? 100 * row / (rows - 1) : 0}%`;
    }
    box.style.cssText = style;
    if (source >= 0) caption.append(make("b", "", String(source + 1)), " ");
    caption.append(`${Math.round(view.times[place] * 100) / 100} s`);
    const said = [cell === -1 ? "blank" : "", view.notes[place] || ""].filter(Boolean).join(", ");
    if (said) caption.append(make("br"), said);
    return made;
  };
  const strip = (title, index, clean) => {
    const view = views[index], frames = make("ol", "frames cards");
    for (let place = 0; place < view.cells.length; place++) frames.append(slot(view, place, clean));
    const problem = videos[view.video].problem;
    return make("figure", "strip", make("figcaption", "", problem ? `${title} (no pictures: ${problem})` : title), frames);
  };
  const marked = (text, marks, spans, tag) => {
    const cuts = [...new Set([0, text.length, ...marks.flat(), ...spans.flat()])].sort((a, b) => a - b);
    const inside = (ranges, at) => ranges.findIndex(([start, stop]) => start <= at && at < stop);
    const body = make("p", "");
    let mark = -1, open = null;
    for (let i = 0; i + 1 < cuts.length; i++) {
      const piece = text.slice(cuts[i], cuts[i + 1]), now = inside(marks, cuts[i]);
      const node = inside(spans, cuts[i]) < 0 ? document.createTextNode(piece) : make("span", "phrase", piece);
      if (now < 0) body.append(node);
      else {
        if (now !== mark) body.append(open = make(tag, ""));
        open.append(node);
      }
      mark = now;
    }
    return body;
  };
  const side = (name, text, marks, spans, tag) => {
    const title = make("div", "side-name", name);
    const body = marked(text, marks, spans, tag);
    body.dir = "auto";
    return make("div", `side ${name}`, title, body);
  };
  const value = score => isNumber(score) ? decimal.format(score).replace("-", "−") : score === null ? "not measured" : score;
  const scores = pair => {
    const list = make("dl", "scores");
    for (const [key, label] of Object.entries(SCORES)) {
      const score = pair.scores[key] ?? null;
      list.append(make("div", "", make("dt", "", label), make("dd", score === null ? "missing" : "", value(score))));
    }
    return list;
  };
  const copyable = (label, text) => {
    const code = make("code", "", text), button = make("button", "", "copy");
    button.type = "button";
    button.setAttribute("aria-label", `copy ${label}`);
    button.onclick = async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "selected";
      }
    };
    return make("p", "", make("span", "", label), code, button);
  };
  const ids = pair => {
    const box = make("details", "ids", make("summary", "", "ids"));
    // made when it is opened: most never are
    box.addEventListener("toggle", () => {
      if (box.children.length > 1) return;
      const rows = { "pair": pair.id, "group": pair.group, "video": videos[pair.video].id, "video file": pair.path, "fingerprint": pair.fingerprint };
      for (const [label, text] of Object.entries(rows)) if (text) box.append(copyable(label, text));
    });
    return box;
  };
  const chips = pair => [["kind", pair.kind], ["source", pair.source],
    ["difficulty", isNumber(pair.difficulty) ? decimal.format(pair.difficulty) : "none"]]
    .map(([label, text]) => make("span", "chip", `${label} ${text}`));
  const card = pair => {
    const clean = pair.view === null ? null : views[pair.view], twoViews = pair.rejected_view !== null;
    const body = make("article", "pair", make("div", "head", make("h3", "", pair.title), ...chips(pair)), make("p", "where", pair.path));
    const prompt = make("p", "prompt", pair.prompt);
    prompt.dir = "auto";
    body.append(prompt);
    if (clean) body.append(strip(twoViews ? "clean: what the chosen side is shown" : "clean: what the chosen response describes", pair.view, clean));
    if (clean && twoViews) body.append(strip("what the rejected side is shown", pair.rejected_view, clean));
    if (clean && pair.perturbed !== null && pair.perturbed !== pair.rejected_view)
      body.append(strip("perturbed: what the rejected response describes", pair.perturbed, clean));
    if (!clean) body.append(make("p", "note", "Text only: no video is shown."));
    body.append(make("div", "sides", side("chosen", pair.chosen, pair.chosen_marks, pair.chosen_spans, "ins"),
      side("rejected", pair.rejected, pair.rejected_marks, pair.rejected_spans, "del")), scores(pair), ids(pair));
    return body;
  };

  // ---- controls
  const fill = (select, choices) => select.append(...choices.map(([key, label]) => { const option = make("option", "", label); option.value = key; return option; }));
  const natural = new Intl.Collator("en", { numeric: true });
  for (const facet of FACETS) {
    const values = [...new Set(pairs.map(pair => shown(pair[facet])))].sort(natural.compare);
    fill(element(facet), [["", "any"], ...values.map(key => [key, key])]);
  }
  fill(element("sort"), Object.entries(SORTS).map(([key, [label]]) => [key, label]));
  fill(element("video-paths"), [...new Set(pairs.map(pair => pair.path))].sort(natural.compare).map(path => [path, path]));
  const turn = by => {
    page += by;
    draw();
    element("browser").scrollIntoView();
    element("pairs").focus({ preventScroll: true });
  };
  for (const pager of document.querySelectorAll(".pager")) {
    const buttons = [["Previous", -1], ["Next", 1]].map(([label, by]) => {
      const button = make("button", "", label);
      button.type = "button";
      button.onclick = () => turn(by);
      return button;
    });
    pager.append(buttons[0], make("span", ""), buttons[1]);
  }
  const form = element("filters");
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", () => update(false));
  form.addEventListener("reset", () => setTimeout(() => update(false)));
  addEventListener("hashchange", () => { readAddress(); update(true); });
  for (const part of document.querySelectorAll("#browser [hidden]")) part.hidden = false;
  readAddress();
  update(true);
})();
