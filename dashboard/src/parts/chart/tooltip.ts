import type UPlot from 'uplot'
import { moment } from '../format'
import classes from './Plot.module.css'

/** A box beside the cursor with the values of its moment. All of it is text, whatever the labels hold. */
export function tooltip(format: (value: number) => string): UPlot.Plugin {
  const box = document.createElement('div')
  box.className = classes.tip ?? ''
  box.hidden = true
  const row = (name: string, value: string, color?: string) => {
    const line = document.createElement('div')
    if (color) {
      const dot = document.createElement('span')
      dot.className = classes.dot ?? ''
      dot.style.background = color
      line.append(dot)
    }
    line.append(`${name} `)
    const figure = document.createElement('b')
    figure.textContent = value
    line.append(figure)
    return line
  }
  return {
    hooks: {
      init: (plot) => {
        plot.over.append(box)
        plot.over.addEventListener('mouseleave', () => (box.hidden = true))
      },
      setCursor: (plot) => {
        const { idx, left = -1 } = plot.cursor
        box.hidden = idx === null || idx === undefined || left < 0
        if (box.hidden || idx === null || idx === undefined) return
        const when = document.createElement('div')
        when.className = classes.when ?? ''
        when.textContent = moment((plot.data[0][idx] ?? 0) * 1000)
        const rows = plot.series.slice(1).map((one, at) => {
          const value = plot.data[at + 1]?.[idx]
          const stroke = typeof one.stroke === 'function' ? one.stroke(plot, at + 1) : one.stroke
          return row(String(one.label), typeof value === 'number' ? format(value) : '–', String(stroke))
        })
        box.replaceChildren(when, ...rows)
        const width = plot.over.clientWidth
        box.style.left = `${left > width / 2 ? Math.max(0, left - box.offsetWidth - 12) : Math.min(left + 12, width - box.offsetWidth)}px`
      },
    },
  }
}
