// Sentences with places for values.

/**
 * A template with its places filled in, as robot_recorder/configuration/words.py does it: a part in
 * square brackets is left out if one of its values is empty or 0.
 */
export function fill(template, values) {
  const value = (name) =>
    values[name] === undefined || values[name] === null ? undefined : String(values[name]);
  const nothing = (name) => ["", "0", undefined].includes(value(name));
  const kept = template.replace(/\[([^[\]]*)\]/g, (_, part) =>
    [...part.matchAll(/\{([a-z_]+)\}/g)].some(([, name]) => nothing(name)) ? "" : part,
  );
  return kept.replace(/\{([a-z_]+)\}/g, (_, name) => value(name) ?? "?");
}

const TURNING = /[\u202a-\u202e\u2066-\u2069]/g; // characters that would turn the text around them

/** Values from outside as texts that leave the text around them as it is. */
export function harmless(values) {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, String(value).replace(TURNING, "\ufffd")]),
  );
}
