import { type RefObject, useEffect } from 'react'

/** ms, as for the keys of the whole application. */
const PAUSE = 1500

/** j and k move between the rows of the table in `area`, x chooses the row; Enter opens it by itself, for the focus is on its link. */
export function useRowKeys(area: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    let way = 0 // when "g" was pressed: the letter after it names a page
    const press = (event: KeyboardEvent) => {
      if (event.key === 'g') way = Date.now()
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !['j', 'k', 'x'].includes(event.key)) return
      if (Date.now() - way < PAUSE) return
      const target = event.target instanceof Element ? event.target : null
      if (target?.closest('input:not([type=checkbox]), textarea, select, [contenteditable], [role=dialog], [role=menu], [role=listbox]')) return
      const rows = [...(area.current?.querySelectorAll<HTMLElement>('tbody tr') ?? [])]
      const here = rows.findIndex((row) => row.contains(document.activeElement))
      if (event.key === 'x') rows[here]?.querySelector<HTMLElement>('input[type=checkbox]')?.click()
      else focus(rows[here < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, here + (event.key === 'j' ? 1 : -1)))])
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [area])
}

function focus(row: HTMLElement | undefined): void {
  row?.querySelector<HTMLElement>('a')?.focus()
  row?.scrollIntoView({ block: 'nearest' })
}
