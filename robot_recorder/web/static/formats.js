// Numbers and times as the language of the page writes them.

let language = "en";

export function writeAs(chosen) {
  language = chosen;
}

const formats = {}; // making one takes long

export function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "-";
  const key = `${language}${digits}`;
  formats[key] ??= new Intl.NumberFormat(language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return formats[key].format(value);
}

export function percent(share) {
  return share === null || share === undefined
    ? "-"
    : share.toLocaleString(language, { style: "percent", maximumFractionDigits: 0 });
}

export function time(epoch_s) {
  return new Date(epoch_s * 1000).toLocaleTimeString(language, {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
}

export function dateAndTime(epoch_s) {
  return new Date(epoch_s * 1000).toLocaleString(language, {
    dateStyle: "medium",
    timeStyle: "short",
    hourCycle: "h23",
  });
}

/** A duration as hours and minutes: 2:01. */
export function hours(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`;
}

/** A duration as 1:04.2 with tenths, or 1:04 without. */
export function clock(seconds, tenths = true) {
  const whole = Math.max(0, tenths ? Math.floor(seconds * 10) / 10 : Math.floor(seconds));
  const minutes = Math.floor(whole / 60),
    rest = whole - 60 * minutes;
  const text = tenths ? rest.toFixed(1) : String(Math.floor(rest));
  return `${minutes}:${text.padStart(tenths ? 4 : 2, "0")}`;
}

/** A number of bytes; `digits` after the point, else one from a gigabyte on. */
export function bytes(count, digits = null) {
  if (count === null || count === undefined) return "-";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, count > 0 ? Math.floor(Math.log10(count) / 3) : 0);
  return `${number(count / 1000 ** power, digits ?? (power > 2 ? 1 : 0))} ${units[power]}`;
}
