// JupyterLab (4.6) draws a notebook's PNG without the alternative text in its metadata. This renderer takes the place of
// the one for image/png and differs in that alone. It is written by hand, so that nothing needs to be built: `init` is handed
// JupyterLab's shared modules, `get` returns the module that package.json names.
(window._JUPYTERLAB = window._JUPYTERLAB || {})['deepgen-alt-text'] = (() => {
  let shared;

  const renderer = Widget => class extends Widget {
    constructor(options) {
      super();
      this.mimeType = options.mimeType;
      this.addClass('jp-RenderedImage');
    }
    async renderModel(model) {
      const about = model.metadata[this.mimeType] ?? {};
      const image = document.createElement('img');
      if (typeof about.alt === 'string') image.alt = about.alt;
      if (typeof about.width === 'number') image.width = about.width;
      if (typeof about.height === 'number') image.height = about.height;
      if (['light', 'dark'].includes(model.metadata.needs_background)) image.classList.add(`jp-needs-${model.metadata.needs_background}-background`);
      if (about.unconfined === true) image.classList.add('jp-mod-unconfined');
      image.src = `data:${this.mimeType};base64,${model.data[this.mimeType]}`;
      this.node.replaceChildren(image);
    }
  };

  return {
    init(scope) { shared = scope; },
    async get() {
      const [version] = Object.values(shared['@lumino/widgets']);
      const { Widget } = (await version.get())();
      const Image = renderer(Widget);
      const rendererFactory = { safe: true, mimeTypes: ['image/png'], createRenderer: options => new Image(options) };
      return () => ({ __esModule: true, default: { id: 'deepgen-alt-text:plugin', rendererFactory, rank: 90, dataType: 'string' } });
    }
  };
})();
