// Paths of icons, 24 by 24.

export const PLAY = "M8 5.5v13l11-6.5z";
export const PAUSE = "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z";
export const NEXT = "M5 6v12l8.5-6zM14.5 6v12h2.5V6z";
export const STAR = "m12 3.6 2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8-4.2-4.1 5.8-.8z";
export const PENCIL = "M4.5 19.5l.9-4L15.8 5.1a1.6 1.6 0 0 1 2.3 0l.8.8a1.6 1.6 0 0 1 0 2.3L8.5 18.6z M14 7l3 3";
export const LINK = "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1";
export const COMPARE = "M4 8h12l-3-3M20 16H8l3 3";
export const VOLUME = "M4 10v4h3.5L12 18V6l-4.5 4zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11";
export const BACK = "M14 6l-6 6 6 6";
export const SEARCH = "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5 20 20";
export const SOUND = "M4 10v4M8 6v12M12 9v6M16 4v16M20 10v4";
export const CROSS = "M6 6l12 12M18 6 6 18";
export const UP = "M6 14l6-6 6 6";
export const DOWN = "M6 10l6 6 6-6";
export const PLUS = "M12 5v14M5 12h14";
