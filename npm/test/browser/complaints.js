// Collects what the page complains about, for drivers that do not report it.
window.complaints = [];
addEventListener("error", ({ message }) => window.complaints.push(message));
addEventListener("unhandledrejection", ({ reason }) => window.complaints.push(String(reason)));
{
  const error = console.error.bind(console);
  console.error = (...values) => {
    window.complaints.push(values.join(" "));
    error(...values);
  };
}
