// What this browser remembers. A browser that may not remember still works.

export function kept(name, fallback) {
  try {
    const text = localStorage.getItem(`console.${name}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(`console.${name}`, JSON.stringify(value));
  } catch {
    /* private window or full: it holds until the page is left */
  }
}
