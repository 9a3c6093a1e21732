/* Sliders from frames drawn beforehand, and predictions that are compared with their answers. Nothing is sent anywhere. */
(function () {
  "use strict";

  function explorer(figure) {
    const frames = (window.deepgenFrames || {})[figure.dataset.frames];
    if (!frames) return;
    const image = figure.querySelector("img"), inputs = [...figure.querySelectorAll("input[type=range]")];
    const file = number => figure.dataset.way + "/" + frames.files[number];
    const show = () => {
      let number = 0;
      inputs.forEach((input, i) => {
        const label = frames.controls[i].labels[input.value];
        input.setAttribute("aria-valuetext", label);
        input.nextElementSibling.value = label;
        number = number * frames.controls[i].labels.length + Number(input.value);
      });
      image.src = file(number);
      image.alt = frames.alts[number];
      neighbours(inputs, frames).forEach(n => { new Image().src = file(n); });
    };
    inputs.forEach((input, i) => {
      input.value = frames.controls[i].start;  // a browser that comes back would keep the old place
      input.addEventListener("input", show);
    });
    figure.querySelector(".controls").hidden = false;
  }

  /* The frames one step away, fetched before they are asked for. */
  function neighbours(inputs, frames) {
    const sizes = frames.controls.map(control => control.labels.length), at = inputs.map(input => Number(input.value)), found = [];
    at.forEach((value, i) => [value - 1, value + 1].filter(v => v >= 0 && v < sizes[i]).forEach(v => {
      found.push(sizes.reduce((n, size, j) => n * size + (j === i ? v : at[j]), 0));
    }));
    return found;
  }

  function kept(key, value) {
    try {
      if (value === undefined) return localStorage.getItem("deepgen." + key);
      localStorage.setItem("deepgen." + key, value);
    } catch (error) { /* a browser may forbid it: then nothing is remembered */ }
    return null;
  }

  function prediction(field) {
    const key = field.dataset.key, verdict = field.querySelector(".verdict"), typed = field.querySelector("input[type=text]");
    const answer = document.querySelector('details.answer[data-key="' + key + '"]');
    const chosen = () => typed ? typed.value.trim() : (field.querySelector("input:checked") || {}).value;
    const say = (words, kind) => { verdict.className = "verdict " + (kind || ""); verdict.textContent = words; };
    const judge = () => {
      if (typed) say("You predicted " + chosen() + "; it is " + answer.dataset.value + ".");
      else if (chosen() === answer.dataset.right) say("You predicted this.", "right");
      else say("You predicted " + chosen() + "); the answer is " + answer.dataset.right + ").", "wrong");
    };
    const before = kept(key), same = before && [...field.querySelectorAll("input[type=radio]")].find(input => input.value === before);
    if (same) same.checked = true;
    if (typed && before) typed.value = before;
    field.addEventListener("change", () => {
      kept(key, chosen());
      if (!answer || !chosen()) say("");
      else if (answer.open) judge();
      else say("Noted. Read on; the answer waits below.");
    });
    if (answer) answer.addEventListener("toggle", () => { if (answer.open && chosen()) judge(); });
  }

  /* What can scroll sideways, and only that, is reached with the tab key. */
  function reachable() {
    document.querySelectorAll("pre, .table-wrapper, .equation").forEach(part => {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0; else part.removeAttribute("tabindex");
    });
  }

  /* A link into a fold opens it. */
  function openTarget() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = target; fold; fold = fold.parentElement) if (fold.tagName === "DETAILS") fold.open = true;
  }

  if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;  // no page of a folder may read another
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("figure.explorer[data-frames]").forEach(explorer);
    document.querySelectorAll("fieldset.predict").forEach(prediction);
    openTarget();
    reachable();
  });
  window.addEventListener("load", reachable);
  window.addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true);
  window.addEventListener("hashchange", openTarget);
})();
