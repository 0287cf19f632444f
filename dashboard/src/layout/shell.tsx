import { Burger } from '@mantine/core'
import { useHotkeys, useMediaQuery } from '@mantine/hooks'
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { expect, PAGES } from '~/pages'
import { AccountMenu } from './account'
import { Banner } from './banner'
import { Brand } from './brand'
import { Help } from './help'
import { useKeys } from './keys'
import { MENU } from './menu'
import classes from './shell.module.css'
import { useWho } from './who'

const here = (path: string, href: string) => (href === '/' ? path === '/' : path === href || path.startsWith(`${href}/`))

/** Navigation at the left, under a burger on narrow screens, and the page beside it. */
export function Shell({ children }: { children: ReactNode }) {
  const { owner } = useWho()
  const [path] = useLocation()
  const [asked, setOpened] = useState(false)
  const opened = useMediaQuery('(max-width: 48em)') && asked
  useHotkeys([['Escape', () => setOpened(false)]])
  const [help, setHelp] = useState(false)
  const main = useRef<HTMLElement>(null)
  const groups = useMemo(() => MENU.map((group) => ({ ...group, items: group.items.filter((one) => one.href in PAGES && (owner || !one.owner)) })).filter((group) => group.items.length), [owner])
  const items = useMemo(() => groups.flatMap((group) => group.items), [groups])
  useKeys(
    items,
    useCallback(() => setHelp(true), []),
  )
  useArrival(path, main, () => setOpened(false))
  return (
    <div className={classes.shell}>
      <a href="#main" className={`pc-unseen ${classes.skip}`}>
        Skip to the content
      </a>
      <header className={classes.bar}>
        <Burger size="sm" opened={opened} onClick={() => setOpened(!opened)} aria-label="Navigation" aria-expanded={opened} aria-controls="navigation" />
        <Brand />
      </header>
      <div className={classes.side} id="navigation" data-opened={opened || undefined}>
        <header className={classes.brandBox}>
          <Brand />
        </header>
        <nav aria-label="Pages" className={classes.nav}>
          {groups.map((group, at) => (
            <div key={at} className={classes.group}>
              {group.title && <div className={classes.groupTitle}>{group.title}</div>}
              {group.items.map(({ href, title, icon: Icon }) => (
                <Link key={href} href={href} className={classes.item} aria-current={here(path, href) ? 'page' : undefined} onPointerEnter={() => expect(href)} onFocus={() => expect(href)}>
                  <Icon size={17} stroke={1.6} aria-hidden />
                  {title}
                </Link>
              ))}
            </div>
          ))}
        </nav>
        <AccountMenu onHelp={() => setHelp(true)} />
      </div>
      <main id="main" ref={main} tabIndex={-1} className={classes.main} inert={opened}>
        <Banner />
        {children}
      </main>
      <Help items={items} opened={help} onClose={() => setHelp(false)} />
    </div>
  )
}

/** Another page begins at its top, with the focus in it, as if it had been loaded. */
function useArrival(path: string, main: React.RefObject<HTMLElement | null>, arrived: () => void) {
  const latest = useRef({ path, arrived })
  useEffect(() => {
    const changed = latest.current.path !== path
    latest.current = { path, arrived }
    if (!changed) return
    arrived()
    scrollTo(0, 0)
    main.current?.focus({ preventScroll: true })
  }, [path, main, arrived])
}
