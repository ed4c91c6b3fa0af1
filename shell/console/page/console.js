"use strict";
// The page has no state of its own: it shows the maps that the peer sends. Names come from
// strangers, so they only ever become text.

const $ = (id) => document.getElementById(id);
const svgNS = "http://www.w3.org/2000/svg";
const token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
sessionStorage.setItem("token", token);
history.replaceState(null, "", location.pathname);
const ask = (path, options) => fetch(path, { ...options, headers: { Authorization: "Bearer " + token }, cache: "no-store" });

const shownEvents = 200;
const settled = 0.25; // what moves less, nobody sees
let live = null;      // the latest map
let past = null;      // the map of another moment, if one is looked at
let chosen = "";      // ID of the peer that was clicked
const nodes = new Map(); // ID -> {x, y, vx, vy, g}
let lines = [];          // {edge, line}
let heat = 0;

function element(name, parent, text) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
}
const label = (p) => p.name || p.short;
const short = (s) => (s.length > 18 ? s.slice(0, 17) + "…" : s);
const index = new WeakMap(); // map -> ID -> peer
function byID(map, id) {
  if (!index.has(map)) index.set(map, new Map(map.peers.map((p) => [p.id, p])));
  return index.get(map).get(id);
}

function size(octets) {
  let unit = 0;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  for (; octets >= 1024 && unit < units.length - 1; unit++) octets /= 1024;
  return octets.toFixed(unit ? 1 : 0) + " " + units[unit];
}
const time = (s) => (s >= 3600 ? Math.floor(s / 3600) + "h" : "") + (s >= 60 ? Math.floor((s % 3600) / 60) + "m" : "") + (s % 60) + "s";
const now = (t, way) => (t.rate ? size(t.rate[way + "_octets"]) + "/s" : "");
const carried = (t, way) => t[way] + ", " + size(t[way + "_octets"]);

// about tells of an edge in one line.
function about(e) {
  let text = (e.kind + " " + (e.detail || "")).trim();
  if (e.left) text += "; ends in " + time(e.left);
  const t = e.traffic;
  if (t) {
    text += "; in " + carried(t, "received") + (t.rate ? ", now " + now(t, "received") : "");
    text += "; out " + carried(t, "sent") + (t.rate ? ", now " + now(t, "sent") : "");
  }
  return text;
}

function show(map) {
  const self = byID(map, map.self);
  document.title = $("self").textContent = label(self) + " " + self.short;
  graph(map);
  rows("peers", map.peers, (p, tr) => {
    tr.dataset.peer = p.id;
    if (!p.way && p.id !== map.self) tr.className = "far";
    return [label(p), p.roles.join(", "), p.id === map.self ? "this peer" : p.way, p.known.join(", ")];
  });
  $("peer-count").textContent = map.peers.length + (map.more ? map.more : 0);
  rows("groups", map.groups, (g) => [g.name, g.role, g.members.length]);
  const name = (id) => label(byID(map, id) || { short: "?" });
  rows("links", map.edges.filter((e) => e.traffic || e.left), (e) => {
    const t = e.traffic;
    const traffic = t ? [carried(t, "received"), now(t, "received"), carried(t, "sent"), now(t, "sent")] : ["", "", "", ""];
    return [name(e.from) + " → " + name(e.to), e.kind, e.left ? time(e.left) : "", ...traffic];
  });
  rows("pipes", map.pipes, (p) => [p.name, p.type, p.received, p.rate === undefined ? "" : p.rate.toFixed(1) + "/s", p.waiting, p.dropped]);
  if (chosen && !byID(map, chosen)) choose("");
}

function rows(table, all, cells) {
  const body = $(table).tBodies[0];
  const fresh = all.map((x) => {
    const tr = document.createElement("tr");
    for (const text of cells(x, tr)) element("td", tr, String(text));
    return tr;
  });
  body.replaceChildren(...fresh);
}

// graph keeps the peers that stay where they are, and lets the others find their place.
function graph(map) {
  const seen = new Set([map.self]);
  for (const e of map.edges) { seen.add(e.from); seen.add(e.to); }
  let changed = false;
  for (const [id, n] of nodes) {
    if (!seen.has(id) || !byID(map, id)) { n.g.remove(); nodes.delete(id); changed = true; }
  }
  for (const p of map.peers) {
    if (!seen.has(p.id)) continue;
    let n = nodes.get(p.id);
    if (!n) {
      const a = nodes.size * 2.4, r = 40 + 18 * Math.sqrt(nodes.size);
      n = { x: p.id === map.self ? 0 : r * Math.cos(a), y: p.id === map.self ? 0 : r * Math.sin(a), vx: 0, vy: 0, g: document.createElementNS(svgNS, "g") };
      n.g.dataset.peer = p.id;
      n.g.tabIndex = 0;
      n.circle = n.g.appendChild(document.createElementNS(svgNS, "circle"));
      n.text = n.g.appendChild(document.createElementNS(svgNS, "text"));
      $("nodes").append(n.g);
      nodes.set(p.id, n);
      changed = true;
    }
    const rdv = p.roles.includes("rendezvous");
    n.g.setAttribute("class", [rdv ? "rendezvous" : "edge", p.id === map.self ? "self" : "", p.id === chosen ? "chosen" : ""].join(" ").trim());
    n.circle.setAttribute("r", rdv ? 17 : 12);
    n.text.setAttribute("dy", rdv ? 33 : 28);
    n.text.textContent = short(label(p));
  }
  const key = (e) => [e.kind, e.from, e.to, e.group || "", e.detail || ""].join(" ");
  if (changed || lines.map((l) => key(l.edge)).join() !== map.edges.map(key).join()) {
    $("edges").replaceChildren();
    lines = map.edges.filter((e) => nodes.has(e.from) && nodes.has(e.to)).map((edge) => {
      const line = document.createElementNS(svgNS, "line");
      line.setAttribute("class", edge.kind);
      const title = line.appendChild(document.createElementNS(svgNS, "title"));
      $("edges").append(line);
      return { edge, line, title };
    });
    const beside = new Map(); // edges between the same two peers lie side by side
    for (const l of lines) {
      const pair = [l.edge.from, l.edge.to].sort().join(" ");
      if (!beside.has(pair)) beside.set(pair, []);
      beside.get(pair).push(l);
    }
    for (const all of beside.values()) all.forEach((l, i) => { l.aside = (i - (all.length - 1) / 2) * 5 * (l.edge.from < l.edge.to ? 1 : -1); });
    changed = true;
  }
  const latest = new Map(map.edges.map((e) => [key(e), e]));
  for (const l of lines) {
    const text = about(latest.get(key(l.edge)) || l.edge);
    if (l.title.textContent !== text) l.title.textContent = text;
  }
  if (changed) {
    if (heat <= 0) requestAnimationFrame(step);
    heat = 1;
  }
}

function step() {
  const all = [...nodes.values()];
  const ideal = Math.min(150, Math.sqrt((960 * 640) / Math.max(all.length, 1)) / 1.6);
  for (let i = 0; i < all.length; i++) {
    for (let j = 0; j < i; j++) {
      const a = all[i], b = all[j];
      let dx = a.x - b.x, dy = a.y - b.y;
      if (dx === 0 && dy === 0) dx = 1;
      const f = (ideal * ideal) / Math.max(dx * dx + dy * dy, 25);
      a.vx += dx * f; a.vy += dy * f; b.vx -= dx * f; b.vy -= dy * f;
    }
  }
  for (const { edge } of lines) {
    const a = nodes.get(edge.from), b = nodes.get(edge.to);
    const dx = a.x - b.x, dy = a.y - b.y, f = Math.hypot(dx, dy) / ideal;
    a.vx -= dx * f; a.vy -= dy * f; b.vx += dx * f; b.vy += dy * f;
  }
  let moved = 0;
  for (const n of all) {
    const wasX = n.x, wasY = n.y;
    n.vx -= n.x * 0.06; n.vy -= n.y * 0.06;
    const d = Math.hypot(n.vx, n.vy) || 1, m = Math.min(d, 14 * heat + 0.2);
    n.x = Math.max(-430, Math.min(430, n.x + (n.vx / d) * m));
    n.y = Math.max(-285, Math.min(270, n.y + (n.vy / d) * m));
    n.vx = n.vy = 0;
    moved = Math.max(moved, Math.abs(n.x - wasX), Math.abs(n.y - wasY));
    n.g.setAttribute("transform", `translate(${n.x.toFixed(1)} ${n.y.toFixed(1)})`);
  }
  for (const { edge, line, aside } of lines) {
    const a = nodes.get(edge.from), b = nodes.get(edge.to);
    const d = Math.hypot(b.x - a.x, b.y - a.y) || 1, x = (aside * (a.y - b.y)) / d, y = (aside * (b.x - a.x)) / d;
    line.setAttribute("x1", a.x + x); line.setAttribute("y1", a.y + y); line.setAttribute("x2", b.x + x); line.setAttribute("y2", b.y + y);
  }
  frame(all);
  heat = moved < settled ? 0 : heat - 0.012; // nothing is drawn again until something changes
  if (heat > 0) requestAnimationFrame(step);
}

// frame shows all of the graph, as large as that is readable.
function frame(all) {
  const box = $("drawing").getBoundingClientRect();
  if (!all.length || !box.width) return;
  let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity;
  for (const n of all) {
    left = Math.min(left, n.x); right = Math.max(right, n.x); top = Math.min(top, n.y); bottom = Math.max(bottom, n.y);
  }
  const scale = Math.min(1.5, box.width / (right - left + 150), box.height / (bottom - top + 120));
  const width = box.width / scale, height = box.height / scale;
  $("drawing").setAttribute("viewBox", [(left + right - width) / 2, (top + bottom - height) / 2, width, height].map((v) => v.toFixed(1)).join(" "));
  $("nodes").setAttribute("font-size", Math.min(24, 13 / Math.min(scale, 1)).toFixed(1));
}
addEventListener("resize", () => frame([...nodes.values()]));

function choose(id) {
  chosen = id;
  $("report").textContent = "";
  const map = past || live;
  const p = id && byID(map, id);
  $("about").hidden = !p;
  if (p) {
    $("about-name").textContent = label(p);
    $("about-id").textContent = p.id;
    $("why").hidden = id === map.self;
  }
  for (const [peer, n] of nodes) n.g.classList.toggle("chosen", peer === id);
}

for (const place of [$("nodes"), $("peers")]) {
  place.addEventListener("click", (e) => {
    const at = e.target.closest("[data-peer]");
    if (at) choose(at.dataset.peer);
  });
  place.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.dataset.peer) choose(e.target.dataset.peer);
  });
}

$("why").addEventListener("click", async () => {
  const id = chosen;
  $("report").textContent = "looking …";
  let text;
  try {
    const answer = await ask("api/why?peer=" + encodeURIComponent(id));
    text = (await answer.json()).text;
  } catch (err) {
    text = "the peer does not answer";
  }
  if (id === chosen) $("report").textContent = text;
});

$("slider").addEventListener("input", async () => {
  const back = -Number($("slider").value);
  if (back === 0) {
    past = null;
    $("moment").textContent = "now";
    if (live) show(live);
    return;
  }
  $("moment").textContent = back < 60 ? back + " s ago" : Math.floor(back / 60) + " min " + (back % 60) + " s ago";
  const answer = await ask("api/past?seconds=" + back);
  if (Number($("slider").value) !== -back || !answer.ok) return;
  past = await answer.json();
  show(past);
});

function tell(when, text) {
  const li = document.createElement("li");
  const t = element("time", li, new Date(when).toLocaleTimeString());
  t.dateTime = when;
  li.append(text);
  $("events").prepend(li);
  while ($("events").children.length > shownEvents) $("events").lastChild.remove();
}

function state(text, bad) {
  $("state").textContent = text;
  $("state").classList.toggle("bad", Boolean(bad));
}

// A page that nobody sees asks for less, and draws nothing.
let following = new AbortController();
document.addEventListener("visibilitychange", () => {
  following.abort();
  if (!document.hidden && live && !past) show(live);
});

async function follow() {
  for (;;) {
    following = new AbortController();
    const mine = following.signal;
    try {
      const answer = await ask("api/live" + (document.hidden ? "?hidden=1" : ""), { signal: mine });
      if (answer.status === 401) { state("this address is not valid any more: open the one that console prints", true); return; }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      state("live");
      let first = true;
      for (let rest = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        rest += value;
        const all = rest.split("\n");
        rest = all.pop();
        for (const line of all) {
          if (!line) continue;
          const news = JSON.parse(line);
          if (first) $("events").replaceChildren(); // it tells all that is known
          first = false;
          for (const e of news.events || []) tell(e.time, e.text);
          if (news.map) {
            live = news.map;
            if (!past && !document.hidden) show(live);
          }
        }
      }
    } catch (err) { /* told below */ }
    if (mine.aborted) continue;
    state("the peer does not answer; trying again", true);
    await new Promise((r) => setTimeout(r, 2000));
  }
}
follow();
