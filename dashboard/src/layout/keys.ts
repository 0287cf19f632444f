import { useEffect, useRef } from 'react'
import { useLocation } from 'wouter'
import type { Item } from './menu'

/** ms between "g" and the letter that follows. */
const PAUSE = 1500

const writes = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || target.closest('input, textarea, select, [role=dialog], [role=menu], .xterm') !== null)

/** Keys of the whole application: "g" and a letter go to a page, "/" to the search, "?" to the help. */
export function useKeys(items: Item[], help: () => void): void {
  const [, go] = useLocation()
  const since = useRef(0)
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return
      const first = Date.now() - since.current < PAUSE
      since.current = 0
      const item = first ? items.find((one) => one.key === event.key) : undefined
      if (item) go(item.href)
      else if (event.key === 'g') since.current = Date.now()
      else if (event.key === '?') help()
      else if (event.key === '/') document.querySelector<HTMLInputElement>('[data-search]')?.focus()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [items, help, go])
}
