// Settings that the page keeps between visits, if the browser allows it.

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`jukectl-${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`jukectl-${name}`);
    else localStorage.setItem(`jukectl-${name}`, value);
  } catch {
    // not allowed: nothing is kept
  }
}
