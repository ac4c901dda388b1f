// A wall in the headset that shows a canvas: one textured rectangle in WebGL.

import { version } from "./view.js";

const AWAY_M = 1.5;
const WIDE_M = 1.8;
const VERTEX = `
attribute vec2 corner;
uniform mat4 seen;
uniform vec2 size;
uniform float high;
uniform vec3 stand; // of the operator: x, z and the yaw of where ahead is
varying vec2 at;
void main() {
  at = vec2(corner.x + 0.5, 0.5 - corner.y);
  float c = cos(stand.z), s = sin(stand.z), x = corner.x * size.x, z = -${AWAY_M.toFixed(1)};
  float y = corner.y * size.y + high;
  gl_Position = seen * vec4(stand.x + c * x + s * z, y, stand.y - s * x + c * z, 1.0);
}`;
const FRAGMENT = `
precision mediump float;
uniform sampler2D picture;
varying vec2 at;
void main() { gl_FragColor = texture2D(picture, at); }`;

/** Make what draws in a session; its layer becomes the session's. */
export async function makeWall(session, canvas) {
  const own = document.createElement("canvas"),
    gl = own.getContext("webgl", { xrCompatible: true, alpha: false });
  if (!gl) throw new Error("WebGL");
  await gl.makeXRCompatible?.();
  const layer = new XRWebGLLayer(session, gl);
  session.updateRenderState({ baseLayer: layer });
  return new Wall(gl, layer, canvas);
}

class Wall {
  #gl;
  #layer;
  #canvas;
  #places;
  #shown = -1;
  #high = null; // of the eyes when the session began

  constructor(gl, layer, canvas) {
    this.#gl = gl;
    this.#layer = layer;
    this.#canvas = canvas;
    const program = built(gl);
    gl.useProgram(program);
    this.#places = Object.fromEntries(
      ["seen", "size", "high", "stand"].map((name) => [name, gl.getUniformLocation(program, name)]),
    );
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    const corners = new Float32Array([-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5]);
    gl.bufferData(gl.ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const name of ["TEXTURE_WRAP_S", "TEXTURE_WRAP_T"])
      gl.texParameteri(gl.TEXTURE_2D, gl[name], gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  }

  /** Draw it for each eye of a viewer, ahead of where the operator stands. */
  draw(viewer, stand) {
    const gl = this.#gl,
      canvas = this.#canvas;
    this.#high ??= viewer.transform.position.y;
    if (this.#shown !== version) {
      this.#shown = version;
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, canvas);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#layer.framebuffer);
    gl.clearColor(0.05, 0.07, 0.09, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniform2f(this.#places.size, WIDE_M, (WIDE_M * canvas.height) / canvas.width);
    gl.uniform1f(this.#places.high, this.#high);
    gl.uniform3f(this.#places.stand, stand.x, stand.z, stand.yaw);
    for (const view of viewer.views) {
      const { x, y, width, height } = this.#layer.getViewport(view);
      gl.viewport(x, y, width, height);
      const seen = times(view.projectionMatrix, view.transform.inverse.matrix);
      gl.uniformMatrix4fv(this.#places.seen, false, seen);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
  }
}

function built(gl) {
  const program = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS))
    throw new Error(`WebGL: ${gl.getProgramInfoLog(program)}`);
  return program;
}

/** The product of two matrices of four columns. */
function times(a, b) {
  const product = new Float32Array(16);
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++)
      for (let k = 0; k < 4; k++)
        product[4 * column + row] += a[4 * k + row] * b[4 * column + k];
  return product;
}
