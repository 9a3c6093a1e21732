// ipywidgets (8.1) and JupyterLab (4.6) show names beside sliders, questions and cells, but do not tie them together, so a
// screen reader says "slider, 5". This extension adds the attributes that do, whenever something new is shown. It is written
// by hand, so that nothing needs to be built.
(window._JUPYTERLAB = window._JUPYTERLAB || {})['deepgen-names'] = (() => {
  const set = (node, name, value) => { if (node && value && node.getAttribute(name) !== value) node.setAttribute(name, value); };
  const words = node => node?.textContent.trim();

  const OWN_KEYS = 'data-lm-suppress-shortcuts';  // arrow keys belong to what has the focus, not to the notebook's shortcuts (Notebook 7 takes them first)

  const NAMES = {
    '.widget-slider': slider => {
      const handle = slider.querySelector('[role=slider]'), readout = slider.querySelector('.widget-readout');
      set(handle, 'aria-label', words(slider.querySelector('.widget-label')) || 'slider');
      set(handle, OWN_KEYS, 'true');
      set(handle, 'aria-valuetext', words(readout));  // what is chosen, not its number in the list
      set(readout, 'aria-hidden', 'true');  // said by the handle; typing into it is no way to move the slider
      set(readout, 'contenteditable', 'false');
    },
    '.widget-radio': question => {
      const box = question.querySelector('.widget-radio-box');
      set(box, 'role', 'radiogroup');
      set(box, OWN_KEYS, 'true');
      set(box, 'aria-label', words(question.previousElementSibling) || words(question.querySelector('.widget-label')) || 'question');
    },
    '.widget-dropdown select': list => set(list, OWN_KEYS, 'true'),
    '.jp-NotebookPanel-notebook .jp-Cell': cell => {
      set(cell, 'role', 'article');  // JupyterLab calls the list of cells a feed, whose items are articles
      set(cell.querySelector(':scope > .jp-Cell-inputWrapper .cm-content'), 'aria-label', cell.classList.contains('jp-CodeCell') ? 'code' : 'text');
    },
    '.jp-NotebookPanel-notebook .jp-RenderedMarkdown': text => {
      if (text.scrollWidth > text.clientWidth) set(text, 'tabindex', '0');  // a wide formula: arrow keys scroll it once it can have the focus
    },
    '.jp-collapseHeadingButton': button => set(button, 'aria-label', 'fold this section')
  };

  const name = () => {
    for (const [selector, give] of Object.entries(NAMES)) document.querySelectorAll(selector).forEach(give);
  };

  const activate = () => {
    let waiting = false;
    const later = () => {
      if (waiting) return;
      waiting = true;
      setTimeout(() => { waiting = false; name(); }, 200);
    };
    new MutationObserver(later).observe(document.body, { childList: true, subtree: true, attributeFilter: ['aria-valuetext'] });
    later();
  };

  return {
    init() {},
    async get() { return () => ({ __esModule: true, default: { id: 'deepgen-names:plugin', autoStart: true, activate } }); }
  };
})();
