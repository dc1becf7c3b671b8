// The little that the page keeps between visits; browsers may not let it.

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
    // Nothing is kept then.
  }
}
