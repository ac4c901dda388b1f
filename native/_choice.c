// Chooses the samples of ticks, notes what was chosen, and puts values together. Optional: alignment/sample_choice.py,
// lane.py and interpolation.py do the same with numpy, at five to ten times the cost for the few ticks of a live robot.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { FRESH, INTERPOLATED, HELD, MISSING };  // as SampleStatus
enum { NEAREST, PREVIOUS, LINEAR };           // policies; slerp chooses as linear does
enum { MOST = 10 };                           // arrays of a call

static const int64_t NONE = -1, NEVER = INT64_C(1) << 62;

typedef struct {
  Py_buffer buffers[MOST];
  int count;
} Arrays;

static void release(Arrays *arrays)
{
  while (arrays->count > 0) {
    PyBuffer_Release(&arrays->buffers[--arrays->count]);
  }
}

// Gets the arrays of a call; a letter each: q or Q: int64, d or D: float64, b: bytes; upper-case: written to.
static int get(Arrays *arrays, PyObject *const *given, Py_ssize_t count, const char *kinds, Py_ssize_t others)
{
  arrays->count = 0;
  if (count != (Py_ssize_t)strlen(kinds) + others) {
    PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
    return 0;
  }
  for (; kinds[arrays->count]; arrays->count++) {
    Py_buffer *buffer = &arrays->buffers[arrays->count];
    char kind = kinds[arrays->count];
    int writable = kind == 'Q' || kind == 'D' || kind == 'B';
    int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(given[arrays->count], buffer, flags) < 0) {
      release(arrays);
      return 0;
    }
    const char *wanted = kind == 'b' || kind == 'B' ? "B" : kind == 'd' || kind == 'D' ? "d" : "lq";
    if (buffer->format == NULL || strlen(buffer->format) != 1 || !strchr(wanted, buffer->format[0])
        || buffer->itemsize != (wanted[0] == 'B' ? 1 : 8)) {
      PyErr_SetString(PyExc_TypeError, "an array has the wrong type");
      arrays->count++;
      release(arrays);
      return 0;
    }
  }
  return 1;
}

static Py_ssize_t length(const Arrays *arrays, int array)
{
  return arrays->buffers[array].len / arrays->buffers[array].itemsize;
}

// Returns whether the arrays from first to last all have a length.
static int are(const Arrays *arrays, int first, int last, Py_ssize_t wanted)
{
  while (first <= last && length(arrays, first) == wanted) {
    first++;
  }
  return first > last;
}

// Releases the arrays; returns the result, or NULL with an exception if their lengths do not fit.
static PyObject *finished(Arrays *arrays, PyObject *result)
{
  release(arrays);
  if (result == NULL && !PyErr_Occurred()) {
    PyErr_SetString(PyExc_ValueError, "arrays do not fit each other");
  }
  return result;
}

// Returns how many of rising numbers are less than one; with or_equal, not greater.
static Py_ssize_t below(const int64_t *numbers, Py_ssize_t count, int64_t one, int or_equal)
{
  Py_ssize_t low = 0, high = count;
  while (low < high) {
    Py_ssize_t middle = low + (high - low) / 2;
    if (numbers[middle] < one || (or_equal && numbers[middle] == one)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Chooses between the samples before and after a tick, by their places; returns the status.
static uint8_t choose_one(
  int policy, int64_t tolerance, const int64_t *stamps, int64_t tick, int64_t before, int64_t after, int64_t *first)
{
  int64_t since = before != NONE ? tick - stamps[before] : NEVER;
  int64_t until = after != NONE ? stamps[after] - tick : NEVER;
  *first = before;
  if (since == 0) {
    return FRESH;
  }
  if (policy == NEAREST && until <= tolerance && until < since) {
    *first = after;
    return FRESH;
  }
  if ((policy == NEAREST || policy == PREVIOUS) && since <= tolerance) {
    return FRESH;
  }
  if (policy == LINEAR && before != NONE && after != NONE && since + until <= tolerance) {
    return INTERPOLATED;
  }
  return before != NONE ? HELD : MISSING;
}

static PyObject *choose(PyObject *module, PyObject *const *given, Py_ssize_t given_count)
{
  (void)module;
  Arrays arrays;
  if (!get(&arrays, given, given_count, "qqqBQ", 4)) {
    return NULL;
  }
  const int64_t *stamps = arrays.buffers[0].buf, *receives = arrays.buffers[1].buf, *ticks = arrays.buffers[2].buf;
  uint8_t *status = arrays.buffers[3].buf;
  Py_ssize_t samples = length(&arrays, 0), count = length(&arrays, 2);
  int64_t rule[4];  // wait, deadline, policy, tolerance
  for (int n = 0; n < 4; n++) {
    rule[n] = PyLong_AsLongLong(given[5 + n]);
    if (rule[n] == -1 && PyErr_Occurred()) {
      return finished(&arrays, NULL);
    }
  }
  if (!are(&arrays, 1, 1, samples) || !are(&arrays, 3, 3, count) || !are(&arrays, 4, 4, 4 * count)) {
    return finished(&arrays, NULL);
  }
  int64_t *first = arrays.buffers[4].buf, *second = first + count, *available = second + count,
          *passed = available + count;
  for (Py_ssize_t n = 0; n < count; n++) {
    int64_t tick = ticks[n];
    Py_ssize_t watermark = below(stamps, samples, tick + rule[0], 0);
    Py_ssize_t in_time = below(receives, samples, tick + rule[1], 0);
    Py_ssize_t after = below(stamps, samples, tick, 0);
    int exact = after < samples && stamps[after] == tick;
    passed[n] = watermark < samples ? receives[watermark] : NEVER;
    available[n] = watermark + 1 < in_time ? watermark + 1 : in_time;
    int64_t before = exact ? after : after - 1;
    before = before < available[n] ? before : available[n] - 1;
    second[n] = after < available[n] ? after : NONE;
    status[n] = choose_one((int)rule[2], rule[3], stamps, tick, before, second[n], &first[n]);
  }
  return finished(&arrays, Py_NewRef(Py_None));
}

// Returns whether all places that a choice refers to are places of samples.
static int choice_fits(
  const uint8_t *status, const int64_t *first, const int64_t *second, Py_ssize_t count, Py_ssize_t samples)
{
  for (Py_ssize_t n = 0; n < count; n++) {
    int good = status[n] == MISSING || (first[n] >= 0 && first[n] < samples);
    if (!good || (status[n] == INTERPOLATED && (second[n] < 0 || second[n] >= samples))) {
      return 0;
    }
  }
  return 1;
}

static PyObject *settle(PyObject *module, PyObject *const *given, Py_ssize_t given_count)
{
  (void)module;
  Arrays arrays;
  if (!get(&arrays, given, given_count, "qqQQqqbqqQ", 1)) {
    return NULL;
  }
  const int64_t *stamps = arrays.buffers[0].buf, *numbers = arrays.buffers[1].buf;
  int64_t *used = arrays.buffers[2].buf, *homed = arrays.buffers[3].buf;
  const int64_t *ticks = arrays.buffers[4].buf, *available = arrays.buffers[5].buf;
  const uint8_t *status = arrays.buffers[6].buf;
  const int64_t *first = arrays.buffers[7].buf, *second = arrays.buffers[8].buf;
  Py_ssize_t samples = length(&arrays, 0), count = length(&arrays, 4);
  int64_t last_tick = PyLong_AsLongLong(given[10]);
  if (last_tick == -1 && PyErr_Occurred()) {
    return finished(&arrays, NULL);
  }
  if (!are(&arrays, 1, 3, samples) || !are(&arrays, 5, 8, count) || !are(&arrays, 9, 9, 3 * count)
      || !choice_fits(status, first, second, count, samples)) {
    return finished(&arrays, NULL);
  }
  int64_t *of_chosen = arrays.buffers[9].buf, *skews = of_chosen + count, *numbered = skews + count;
  Py_ssize_t late = 0, newly_used = 0;
  for (Py_ssize_t n = 0; n < samples && count; n++) {
    if (homed[n] || stamps[n] > ticks[count - 1]) {
      continue;
    }
    Py_ssize_t own = below(ticks, count, stamps[n], 0), reached = below(available, count, n, 1);
    if (own < count && reached < count) {
      homed[n] = 1;
      late += reached > own || stamps[n] <= last_tick;
    }
  }
  for (Py_ssize_t n = 0; n < count; n++) {
    of_chosen[n] = skews[n] = 0;
    numbered[n] = NONE;
    if (status[n] == MISSING) {
      continue;
    }
    int64_t place = first[n];
    newly_used += !used[place];
    used[place] = 1;
    if (status[n] == INTERPOLATED) {
      newly_used += !used[second[n]];
      used[second[n]] = 1;
      place = stamps[second[n]] - ticks[n] < ticks[n] - stamps[place] ? second[n] : place;
    }
    of_chosen[n] = stamps[place];
    skews[n] = stamps[place] - ticks[n];
    numbered[n] = numbers[place];
  }
  return finished(&arrays, Py_BuildValue("nn", late, newly_used));
}

// Numbers of the samples that ticks need, rising; the place of each tick's among them, and its time between two.
static PyObject *pick(PyObject *module, PyObject *const *given, Py_ssize_t given_count)
{
  (void)module;
  Arrays arrays;
  if (!get(&arrays, given, given_count, "qqqbqqQD", 0)) {
    return NULL;
  }
  const int64_t *numbers = arrays.buffers[0].buf, *stamps = arrays.buffers[1].buf, *ticks = arrays.buffers[2].buf;
  const uint8_t *status = arrays.buffers[3].buf;
  const int64_t *first = arrays.buffers[4].buf, *second = arrays.buffers[5].buf;
  int64_t *rows = arrays.buffers[6].buf;
  double *shares = arrays.buffers[7].buf;
  Py_ssize_t samples = length(&arrays, 0), count = length(&arrays, 2), picked = 0;
  if (!are(&arrays, 1, 1, samples) || !are(&arrays, 3, 5, count) || !are(&arrays, 6, 6, 2 * count)
      || !are(&arrays, 7, 7, count) || !choice_fits(status, first, second, count, samples)) {
    return finished(&arrays, NULL);
  }
  int64_t *row_of = PyMem_Calloc((size_t)samples + 1, sizeof(int64_t));
  if (row_of == NULL) {
    return finished(&arrays, PyErr_NoMemory());
  }
  for (Py_ssize_t n = 0; n < count; n++) {
    if (status[n] != MISSING) {
      row_of[first[n]] = 1;
    }
    if (status[n] == INTERPOLATED) {
      row_of[second[n]] = 1;
    }
  }
  for (Py_ssize_t n = 0; n < samples; n++) {
    picked += row_of[n];
  }
  PyObject *found = PyByteArray_FromStringAndSize(NULL, picked * 8);
  if (found != NULL) {
    int64_t *out = (int64_t *)PyByteArray_AS_STRING(found), row = 0;
    for (Py_ssize_t n = 0; n < samples; n++) {
      if (row_of[n]) {
        out[row] = numbers[n];
        row_of[n] = row++;
      }
    }
    for (Py_ssize_t n = 0; n < count; n++) {
      rows[n] = status[n] != MISSING ? row_of[first[n]] : NONE;
      rows[count + n] = NONE;
      shares[n] = 0;
      if (status[n] == INTERPOLATED) {
        rows[count + n] = row_of[second[n]];
        int64_t start = stamps[first[n]];
        shares[n] = (double)(ticks[n] - start) / (double)(stamps[second[n]] - start);
      }
    }
  }
  PyMem_Free(row_of);
  return finished(&arrays, found);
}

// Puts the values of ticks together from rows: one, a mixture of two by time, or NaN.
static PyObject *blend(PyObject *module, PyObject *const *given, Py_ssize_t given_count)
{
  (void)module;
  Arrays arrays;
  if (!get(&arrays, given, given_count, "dqdD", 0)) {
    return NULL;
  }
  const double *rows = arrays.buffers[0].buf, *shares = arrays.buffers[2].buf;
  const int64_t *places = arrays.buffers[1].buf;
  double *out = arrays.buffers[3].buf;
  Py_ssize_t count = length(&arrays, 2), width = count ? length(&arrays, 3) / count : 0;
  Py_ssize_t known = width ? length(&arrays, 0) / width : 0;
  if (!are(&arrays, 1, 1, 2 * count) || !are(&arrays, 3, 3, count * width)) {
    return finished(&arrays, NULL);
  }
  for (Py_ssize_t n = 0; n < count; n++, out += width) {
    int64_t first = places[n], second = places[count + n];
    if (width && (first >= known || second >= known)) {
      return finished(&arrays, NULL);
    }
    const double *a = rows + (first < 0 ? 0 : first * width), *b = second < 0 ? a : rows + second * width;
    for (Py_ssize_t k = 0; k < width; k++) {
      out[k] = first < 0 ? NAN : second < 0 ? a[k] : a[k] + (b[k] - a[k]) * shares[n];
    }
  }
  return finished(&arrays, Py_NewRef(Py_None));
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, doc}

static PyMethodDef methods[] = {
  METHOD(choose,
         "choose(stamps, receives, ticks, status, out: int64[4, n], wait, deadline, policy, tolerance)\n"
         "For rising stamps, writes status, first, second, available and passed of each tick."),
  METHOD(settle,
         "settle(stamps, numbers, used, homed, ticks, available, status, first, second, out: int64[3, n], last_tick)\n"
         "-> (late, newly used). Marks samples, and writes stamp, skew and number of each tick's."),
  METHOD(pick,
         "pick(numbers, stamps, ticks, status, first, second, places: int64[2, n], shares: float64[n])\n"
         "-> numbers needed, int64[m]. Writes where in them the two of each tick are, -1: none, and its time between."),
  METHOD(blend, "blend(rows: float64[m, k], places: int64[2, n], shares: float64[n], out: float64[n, k])"),
  {NULL, NULL, 0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_choice", .m_methods = methods, .m_size = 0};

PyMODINIT_FUNC PyInit__choice(void)
{
  return PyModule_Create(&module);
}
