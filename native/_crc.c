// CRC-32 as zlib's, of a chunk of records. Optional: bags/mcap_records.py takes zlib's, which needs three times as long.
//
// Source: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009: the
// message is folded, 64 bytes at once, into 16 that have the same remainder; the constants are x^n mod P, bits reversed.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define FOLDS __attribute__((target("pclmul,sse4.1")))

enum { LANES = 4, BLOCK = 16 };

// Moves a remainder on by the distance that the two constants stand for, and adds what is there.
FOLDS static __m128i moved(__m128i remainder, __m128i constants, __m128i there)
{
  __m128i low = _mm_clmulepi64_si128(remainder, constants, 0x00), high = _mm_clmulepi64_si128(remainder, constants, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

static __m128i at(const uint8_t *data, Py_ssize_t block)
{
  return _mm_loadu_si128((const __m128i *)(data + block * BLOCK));
}

// Returns the CRC of whole blocks, at least LANES of them.
FOLDS static uint32_t fold(uint32_t crc, const uint8_t *data, Py_ssize_t blocks)
{
  const __m128i by_lanes = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);  // x^(512-32), x^(512+32)
  const __m128i by_block = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);  // x^(128-32), x^(128+32)
  const __m128i by_word = _mm_set_epi64x(0, 0x163cd6124);             // x^64
  const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);   // floor(x^64 / P), P
  const __m128i low = _mm_setr_epi32(-1, 0, -1, 0);
  __m128i lane[LANES];
  for (int n = 0; n < LANES; n++) {
    lane[n] = at(data, n);
  }
  lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128((int)crc));
  Py_ssize_t done = LANES;
  for (; done + LANES <= blocks; done += LANES) {
    for (int n = 0; n < LANES; n++) {
      lane[n] = moved(lane[n], by_lanes, at(data, done + n));
    }
  }
  __m128i rest = lane[0];
  for (int n = 1; n < LANES; n++) {
    rest = moved(rest, by_block, lane[n]);
  }
  for (; done < blocks; done++) {
    rest = moved(rest, by_block, at(data, done));
  }
  // 128 bits to 96, to 64, and by Barrett's reduction to 32.
  rest = _mm_xor_si128(_mm_clmulepi64_si128(rest, by_block, 0x10), _mm_srli_si128(rest, 8));
  rest = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(rest, low), by_word, 0x00), _mm_srli_si128(rest, 4));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(rest, low), barrett, 0x10);
  __m128i product = _mm_clmulepi64_si128(_mm_and_si128(quotient, low), barrett, 0x00);
  return (uint32_t)_mm_extract_epi32(_mm_xor_si128(rest, product), 1);
}

static int can_fold(void)
{
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
enum { LANES = 4, BLOCK = 16 };

static uint32_t fold(uint32_t crc, const uint8_t *data, Py_ssize_t blocks)
{
  (void)data, (void)blocks;
  return crc;
}

static int can_fold(void)
{
  return 0;
}
#endif

// The last bytes, bit by bit: fewer than a block.
static uint32_t bytewise(uint32_t crc, const uint8_t *data, Py_ssize_t size)
{
  for (Py_ssize_t n = 0; n < size; n++) {
    crc ^= data[n];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
  }
  return crc;
}

static PyObject *crc32(PyObject *module, PyObject *given)
{
  (void)module;
  Py_buffer data;
  if (PyObject_GetBuffer(given, &data, PyBUF_SIMPLE) < 0) {
    return NULL;
  }
  Py_ssize_t blocks = data.len / BLOCK;
  uint32_t crc = UINT32_MAX;
  Py_BEGIN_ALLOW_THREADS
  if (blocks < LANES) {
    blocks = 0;
  } else {
    crc = fold(crc, data.buf, blocks);
  }
  crc = bytewise(crc, (const uint8_t *)data.buf + blocks * BLOCK, data.len - blocks * BLOCK);
  Py_END_ALLOW_THREADS
  PyBuffer_Release(&data);
  return PyLong_FromUnsignedLong(~crc);
}

static PyMethodDef methods[] = {
  {"crc32", crc32, METH_O, "crc32(data) -> int; see zlib.crc32."}, {NULL, NULL, 0, NULL}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_crc", .m_methods = methods, .m_size = 0};

PyMODINIT_FUNC PyInit__crc(void)
{
  if (!can_fold()) {
    PyErr_SetString(PyExc_ImportError, "this processor has no carry-less multiplication");
    return NULL;
  }
  return PyModule_Create(&module);
}
