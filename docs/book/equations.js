// Equations are written as GitHub reads them: blocks of the language "math" and code between dollars. The book's
// MathJax knows other marks, so that they are put around them before it starts.
function mark(element, text) {
  const span = document.createElement("span");
  span.textContent = text;
  element.replaceWith(span);
}

for (const block of document.querySelectorAll("code.language-math")) {
  mark(block.closest("pre"), `\\[${block.textContent}\\]`);
}
for (const code of document.querySelectorAll("p code, li code, td code, th code")) {
  const { previousSibling: before, nextSibling: after } = code;
  if (before?.nodeType !== Node.TEXT_NODE || after?.nodeType !== Node.TEXT_NODE) continue;
  if (!before.data.endsWith("$") || !after.data.startsWith("$")) continue;
  before.data = before.data.slice(0, -1);
  after.data = after.data.slice(1);
  mark(code, `\\(${code.textContent}\\)`);
}
// If MathJax was faster, it looks at the page again.
window.MathJax?.Hub?.Queue(["Typeset", window.MathJax.Hub]);
