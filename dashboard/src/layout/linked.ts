import { PAGES } from '~/pages'

/** The address, if there is a page for it in this build; else none, so that nothing leads nowhere. */
export function linked(href: string): string | undefined {
  const path = href.split('?')[0] ?? ''
  const first = `/${path.split('/')[1] ?? ''}`
  const known = path === first ? first in PAGES : Object.keys(PAGES).some((one) => one.startsWith(`${first}/`))
  return known ? href : undefined
}
