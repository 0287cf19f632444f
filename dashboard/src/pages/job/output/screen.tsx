import { Button } from '@mantine/core'
import { IconArrowDown } from '@tabler/icons-react'
import { Fragment, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { format } from '~/parts'
import { bare, isPlain, pieces } from './lines'
import classes from './output.module.css'
import type { Block } from './tail'

/** px of a line. */
const LINE = 19
/** px from the end that count as being there. */
const NEAR = 24
/** Blocks from which on only those in sight are laid out. */
const MANY = 10
/** Lines of a search that are shown. */
const MOST = 2000

interface Props {
  blocks: Block[]
  wrap: boolean
  label: string
}

/** The lines, of which the browser lays out only those in sight. The newest is kept in sight until one scrolls up, and again when one comes back down. */
export function Screen({ blocks, wrap, label, resume }: Props & { resume: string }) {
  const box = useRef<HTMLDivElement>(null)
  const inside = useRef<HTMLDivElement>(null)
  const [on, setOn] = useState(true)
  const held = useRef(true)
  const top = useRef(0)
  const down = useCallback(() => {
    const place = box.current
    if (!place || !held.current) return
    place.scrollTop = place.scrollHeight
    top.current = place.scrollTop
  }, [])
  useLayoutEffect(down, [blocks, wrap, down])
  useEffect(() => {
    if (!inside.current) return
    const watch = new ResizeObserver(down) // blocks are measured only when they are drawn
    watch.observe(inside.current)
    return () => watch.disconnect()
  }, [down])
  const scrolled = () => {
    const place = box.current
    if (!place) return
    const near = place.scrollHeight - place.scrollTop - place.clientHeight < NEAR
    if (near) held.current = true
    else if (place.scrollTop < top.current - 2) held.current = false
    top.current = place.scrollTop
    setOn(held.current)
  }
  const follow = () => {
    held.current = true
    setOn(true)
    down()
  }
  return (
    <div className={classes.frame}>
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div ref={box} className={classes.screen} data-wrap={wrap || undefined} data-held={on || undefined} data-many={blocks.length > MANY || undefined} tabIndex={0} role="log" aria-live="off" aria-label={label} onScroll={scrolled}>
        <div ref={inside}>
          {blocks.map((one) => (
            <Lines key={one.key} block={one} />
          ))}
        </div>
      </div>
      {!on && (
        <Button size="compact-sm" className={classes.newest} leftSection={<IconArrowDown size={14} aria-hidden />} onClick={follow}>
          {resume}
        </Button>
      )}
    </div>
  )
}

const Lines = memo(function Lines({ block }: { block: Block }) {
  const text = block.lines.join('\n')
  return (
    <div className={classes.block} style={{ containIntrinsicHeight: `auto ${block.lines.length * LINE}px` }}>
      {isPlain(text) ? text : pieces(text).map((one, at) => (one.look ? <span key={at} className={looks(one.look)}>{one.text}</span> : <Fragment key={at}>{one.text}</Fragment>))}
      {'\n'}
    </div>
  )
})

const looks = (names: string) =>
  names
    .split(' ')
    .map((one) => classes[one])
    .join(' ')

/** The lines that hold a text, whatever its case. */
export function Found({ blocks, search, wrap, label }: Props & { search: string }) {
  const wanted = search.toLowerCase()
  const found = useMemo(() => {
    const all: string[] = []
    for (const block of blocks) for (const line of block.lines) if (line.length >= wanted.length && bare(line).toLowerCase().includes(wanted)) all.push(bare(line))
    return all
  }, [blocks, wanted])
  const shown = found.slice(-MOST)
  return (
    <>
      <div className={classes.cut} role="status">
        {found.length === 0 ? 'No line has this text.' : `${format.count(found.length)} ${found.length === 1 ? 'line has' : 'lines have'} this text${found.length > MOST ? `; the last ${format.count(MOST)} are shown` : ''}.`}
      </div>
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={classes.screen} data-wrap={wrap || undefined} tabIndex={0} role="group" aria-label={`Lines of ${label} that were found`}>
        {shown.map((line, at) => (
          <Marked key={at} line={line} wanted={wanted} />
        ))}
      </div>
    </>
  )
}

function Marked({ line, wanted }: { line: string; wanted: string }) {
  const lower = line.toLowerCase()
  const parts = []
  let from = 0
  if (lower.length === line.length) {
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
      parts.push(line.slice(from, at), <mark key={at}>{line.slice(at, at + wanted.length)}</mark>)
      from = at + wanted.length
    }
  }
  return (
    <div>
      {parts}
      {line.slice(from) || '\n'}
    </div>
  )
}
