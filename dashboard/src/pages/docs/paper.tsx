import { type MouseEvent, useEffect, useMemo, useRef } from 'react'
import { useLocation } from 'wouter'
import { copy } from '~/parts/Copy'
import type { Leaf } from './book'
import classes from './docs.module.css'

/** One page. Its HTML was made by the build from our own files, in which HTML is shown as text. */
export function Paper({ leaf, slug }: { leaf: Leaf; slug: string }) {
  const [, go] = useLocation()
  const body = useRef<HTMLElement>(null)
  const html = useMemo(() => ({ __html: leaf.html.replaceAll('127.0.0.1:7421', location.host) }), [leaf])
  useEffect(() => {
    if (body.current) addButtons(body.current)
  }, [html])
  useEffect(() => {
    const show = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView()
    if (location.hash) show()
    addEventListener('hashchange', show)
    return () => removeEventListener('hashchange', show)
  }, [slug])
  // Links of the text are plain; within the documentation the application goes there itself.
  const click = (event: MouseEvent) => {
    const link = (event.target as Element).closest('a')
    const href = link?.getAttribute('href') ?? ''
    if (!href.startsWith('/docs/') || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
    event.preventDefault()
    if (href.split('#')[0] === location.pathname) location.hash = href.split('#')[1] ?? ''
    else go(href)
  }
  const heads = leaf.headings.filter((one) => one.level <= 3)
  return (
    <div className={classes.pair}>
      {/* The click is that of the links in it, which keyboards reach as any other. */}
      {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions */}
      <article ref={body} className={classes.paper} onClick={click} dangerouslySetInnerHTML={html} />
      {heads.length > 1 && (
        <nav className={classes.inside} aria-label="On this page">
          <div className={classes.section}>On this page</div>
          {heads.map((one) => (
            <a key={one.id} href={`#${one.id}`} data-level={one.level}>
              {one.text}
            </a>
          ))}
        </nav>
      )}
    </div>
  )
}

/** Gives each heading an anchor to link to, and each piece of code a button that copies it. */
function addButtons(body: HTMLElement): void {
  for (const code of body.querySelectorAll('pre')) {
    if (code.parentElement?.dataset.code) continue
    const frame = document.createElement('div')
    frame.dataset.code = 'yes'
    const button = document.createElement('button')
    button.type = 'button'
    button.textContent = 'Copy'
    button.onclick = () =>
      void copy(code.textContent.trimEnd()).then((done) => {
        button.textContent = done ? 'Copied' : 'Copy'
        setTimeout(() => (button.textContent = 'Copy'), 1500)
      })
    code.replaceWith(frame)
    frame.append(code, button)
  }
  for (const head of body.querySelectorAll<HTMLElement>('h2[id], h3[id], h4[id]')) {
    if (head.querySelector('[data-anchor]')) continue
    const anchor = document.createElement('a')
    anchor.href = `#${head.id}`
    anchor.dataset.anchor = 'yes'
    anchor.textContent = '#'
    anchor.setAttribute('aria-label', `Link to ${head.textContent}`)
    head.append(anchor)
  }
}
