// What a page does beyond showing itself: it is kept up to date, its times are those of the reader's zone, its colours
// are the reader's choice, and an action asks once. Every sentence is made by evenkeel; nothing here writes one of its own
// about the cluster.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);

  // ---- light and dark ----

  const THEMES = ["system", "light", "dark"];

  const theme = () => {
    const kept = localStorage.getItem("theme");
    return THEMES.includes(kept) ? kept : "system";
  };

  // Before the first paint: the page must not flash in the other colours.
  const paint = () => {
    document.documentElement.dataset.theme = theme();
    const button = $("theme");
    if (button) button.textContent = `Colours: ${theme()}`;
  };

  const startTheme = () => {
    const button = $("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      localStorage.setItem("theme", THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
      paint();
    });
    paint();
  };

  // ---- times in the reader's zone ----

  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
  const calendar = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

  const local = (at) => {
    const today = new Date().toDateString() === at.toDateString();
    return today ? clock.format(at) : `${calendar.format(at)} ${clock.format(at)}`;
  };

  const localise = (root) => {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const at = new Date(element.getAttribute("datetime"));
      if (!Number.isNaN(at.getTime())) element.textContent = local(at);
    }
    for (const element of root.querySelectorAll(".zone")) element.remove();
    for (const element of root.querySelectorAll("[data-time]")) {
      const at = new Date(element.getAttribute("data-time"));
      if (!Number.isNaN(at.getTime())) element.textContent = clock.format(at).slice(0, 5);
    }
  };

  // ---- one element takes on what another says, and keeps its focus, its scroll and what a reader has opened ----

  const OURS = new Set(["open"]);

  const morph = (from, to) => {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
      from.replaceWith(to);
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !OURS.has(name)) from.removeAttribute(name);
    }
    for (const { name, value } of [...to.attributes]) {
      if (from.getAttribute(name) !== value && !OURS.has(name)) from.setAttribute(name, value);
    }
    // What a reader is typing is theirs, and so is what they were told.
    if (from.matches("input, select, textarea, .said, [data-plan]")) return;
    // Rows that have moved are the same rows: found by their ids first.
    const named = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
    let place = from.firstChild;
    for (const child of [...to.childNodes]) {
      const same = child.id && named.get(child.id);
      if (same && same !== place) from.insertBefore(same, place);
      const here = same || place;
      if (!here || (!same && here.id && here.id !== child.id)) {
        from.insertBefore(child, place);
        continue;
      }
      place = here.nextSibling;
      morph(here, child);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };

  const parsed = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    localise(template.content);
    return template.content;
  };

  // ---- updates ----

  // evenkeel says at least every five seconds that it is there.
  const SILENCE = 12_000;
  let heard = Date.now();
  let source;

  const isLive = (yes) => {
    const badge = $("live");
    badge.textContent = yes ? "live" : "not live";
    badge.classList.toggle("on", yes);
    const stale = $("stale");
    if (yes) {
      stale.hidden = true;
    } else if (stale.hidden) {
      stale.textContent = `No update since ${local(new Date(heard))}: evenkeel can't be reached, or is starting anew. What stands below is as it was then.`;
      stale.hidden = false;
    }
    document.body.classList.toggle("old", !yes);
  };

  const take = (update) => {
    if (update.release && update.release !== $("live").dataset.release) {
      location.reload();
      return;
    }
    document.title = update.title;
    if ($("icon").getAttribute("href") !== update.icon) $("icon").setAttribute("href", update.icon);
    if (update.main !== undefined) {
      const main = document.createElement("main");
      main.append(parsed(update.main));
      const old = $("main");
      for (const { name, value } of old.attributes) main.setAttribute(name, value);
      morph(old, main);
    }
    for (const [id, html] of Object.entries(update.parts ?? {})) {
      const old = $(id);
      if (old) morph(old, parsed(html).firstElementChild);
    }
    document.dispatchEvent(new CustomEvent("evenkeel:updated"));
  };

  const listen = () => {
    if (source) source.close();
    source = new EventSource(`/live?page=${encodeURIComponent($("live").dataset.target)}`);
    const alive = () => {
      heard = Date.now();
      isLive(true);
    };
    source.addEventListener("update", (event) => {
      take(JSON.parse(event.data));
      alive();
    });
    source.addEventListener("alive", alive);
    source.addEventListener("error", () => {
      isLive(false);
      // The browser tries again by itself, unless it was refused.
      if (source.readyState === EventSource.CLOSED) setTimeout(comeBack, 2_000);
    });
  };

  // Who is not known any more is shown so by the page itself.
  const comeBack = async () => {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => undefined);
    if (answer?.status === 401) location.reload();
    else listen();
  };

  const startUpdates = () => {
    if (!$("live") || $("live").dataset.target === undefined) return;
    listen();
    setInterval(() => {
      if (Date.now() - heard > SILENCE) isLive(false);
    }, 1_000);
    // A page that nobody sees costs nothing.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) source.close();
      else listen();
    });
  };

  // ---- filters: the same page with another query ----

  const visit = (target) => {
    history.replaceState(null, "", target);
    $("live").dataset.target = target;
    listen();
  };

  const targetOf = (form) => {
    const query = new URLSearchParams(new FormData(form));
    for (const [key, value] of [...query]) if (value === "") query.delete(key);
    const text = query.toString();
    return text ? `${location.pathname}?${text}` : location.pathname;
  };

  const startFilters = () => {
    document.addEventListener("input", (event) => {
      const form = event.target.closest("form[data-filter]");
      if (form) visit(targetOf(form));
    });
    document.addEventListener("submit", (event) => {
      const form = event.target.closest("form[data-filter]");
      if (!form) return;
      event.preventDefault();
      visit(targetOf(form));
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-same]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      visit(link.getAttribute("href"));
    });
  };

  // ---- actions: asked once, said with how many sessions they touch, and carried out by evenkeel ----

  // No page of another site can send this header without being asked for leave first.
  const post = async (path, body) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-evenkeel-action": "1" },
      body: JSON.stringify(body),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.report ? `${said.error}\n${said.report}` : said.error);
    return said;
  };

  const idsOf = async (server) => {
    const answer = await fetch(`/api/v1/sessions?limit=100000&server=${encodeURIComponent(server)}`);
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    return said.sessions.map((session) => session.id);
  };

  const bodyOf = async (form) => {
    if (form.dataset.sessions) return { ids: await idsOf(form.dataset.sessions) };
    const body = JSON.parse(form.dataset.body);
    for (const [key, value] of new FormData(form)) if (value !== "") body[key] = Number(value);
    return body;
  };

  const tell = (text) => {
    const place = $("told");
    place.textContent = text;
    place.hidden = false;
    clearTimeout(tell.timer);
    tell.timer = setTimeout(() => { place.hidden = true; }, 10_000);
  };

  const carryOut = async (form) => {
    const said = form.querySelector(".said");
    const button = form.querySelector("[type=submit]");
    said.textContent = "";
    button.disabled = true;
    try {
      const done = await post(form.dataset.action, await bodyOf(form));
      form.closest("dialog").close();
      tell(done.text);
    } catch (error) {
      said.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  };

  // What a reload would change is shown before it is asked for.
  const showPlan = async (dialog) => {
    const place = dialog.querySelector("[data-plan]");
    if (!place) return;
    place.textContent = "Reading the configuration…";
    try {
      const { text, plan, warnings } = await post(place.dataset.plan, { dry_run: true });
      place.textContent = [text, ...plan, ...warnings].join("\n");
    } catch (error) {
      place.textContent = error.message;
    }
  };

  const startActions = () => {
    document.addEventListener("click", (event) => {
      const opens = event.target.closest("[data-opens]");
      if (opens) {
        const dialog = $(opens.dataset.opens);
        dialog.querySelector(".said").textContent = "";
        dialog.showModal();
        showPlan(dialog);
      }
      if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
    });
    document.addEventListener("submit", (event) => {
      const form = event.target.closest("form[data-action]");
      if (!form) return;
      event.preventDefault();
      carryOut(form);
    });
  };

  // ---- copies ----

  const startCopies = () => {
    document.addEventListener("click", async (event) => {
      const button = event.target.closest("[data-copy]");
      if (!button) return;
      event.preventDefault();
      const said = button.textContent;
      try {
        const answer = await fetch(button.dataset.copy, { cache: "no-store" });
        if (!answer.ok) throw new Error(await answer.text());
        await copy(await answer.text());
        button.textContent = "Copied";
      } catch (error) {
        button.textContent = "Not copied";
        button.title = String(error);
      }
      setTimeout(() => { button.textContent = said; }, 2_000);
    });
  };

  // Over plain HTTP there is no clipboard to write to but by a selection.
  const copy = async (text) => {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offstage";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("the browser refuses it");
  };

  paint();
  document.addEventListener("DOMContentLoaded", () => {
    localise(document);
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    if ($("zone") && timeZone !== "UTC") $("zone").textContent = `Times are those of ${timeZone}; UTC is beneath the pointer.`;
    startTheme();
    startUpdates();
    startFilters();
    startActions();
    startCopies();
  });
})();
