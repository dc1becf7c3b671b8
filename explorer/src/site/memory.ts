// Settings that the page keeps between visits, if the browser allows it.

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`jukectl-${name}`);
  } catch {
    return null;
  }
}

/** Keep a value, or remove it; return whether the browser allows that. */
export function remember(name: string, value: string | null): boolean {
  try {
    if (value === null) localStorage.removeItem(`jukectl-${name}`);
    else localStorage.setItem(`jukectl-${name}`, value);
    return true;
  } catch {
    return false;
  }
}
