/**
 * The only script of the report: shows the figures under the pointer. What it shows comes from `data-tips` and is put in
 * as text, never as markup; the report reads without it.
 */
export const script = `
for (const field of document.querySelectorAll("[data-tips]")) {
  const tips = JSON.parse(field.dataset.tips), cursor = field.querySelector(".cursor"), tip = field.querySelector(".tip")
  const show = (event) => {
    const box = field.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * 1000
    const [place, text] = tips.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a))
    cursor.style.left = place / 10 + "%"
    tip.textContent = text
    tip.style.left = place > 500 ? "auto" : "calc(" + place / 10 + "% + 10px)"
    tip.style.right = place > 500 ? "calc(" + (100 - place / 10) + "% + 10px)" : "auto"
    field.classList.add("on")
  }
  field.addEventListener("pointermove", show)
  field.addEventListener("pointerdown", show)
  field.addEventListener("pointerleave", () => field.classList.remove("on"))
}
`
