// Make every slide fit its screen: smaller pictures first, then smaller letters. Done once, before reveal.js hides all slides but one.
const SMALLEST = 15;
function tooHigh(section) {  // also asks the parts of equations, which widen nothing around them
  const sheet = section.getBoundingClientRect(), scale = sheet.width / 1280;
  return [...section.querySelectorAll('.top, .left, .right')].some(column => {
    const right = column.getBoundingClientRect().right + 2 * scale, bottom = sheet.bottom - 14 * scale;
    return [...column.querySelectorAll('*')].some(part => {
      const box = part.getBoundingClientRect();
      return box.width > 0 && (box.right > right || box.bottom > bottom);
    });
  });
}
function fit(section) {
  const image = section.querySelector('img');
  const least = section.classList.contains('one') ? 0.44 : 0.72;
  const height = image ? image.getBoundingClientRect().height : 0;
  for (let size = 24; size >= SMALLEST && tooHigh(section); size -= 1) {
    section.style.fontSize = size + 'px';
    for (let share = 1; image && share >= least && tooHigh(section); share -= 0.07) image.style.maxHeight = share * height + 'px';
  }
}
async function startSlides() {
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  document.querySelectorAll('section').forEach(fit);
  document.body.dataset.fitted = 'yes';
  if (!window.Reveal) return;
  Reveal.initialize({
    width: 1280, height: 720, margin: 0.01, center: false, display: 'grid', hash: true, slideNumber: 'c/t', transition: 'none',
    plugins: window.RevealNotes ? [RevealNotes] : [],
  });
}
