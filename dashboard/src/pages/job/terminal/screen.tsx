import '@xterm/xterm/css/xterm.css'
import { Button, useComputedColorScheme } from '@mantine/core'
import { FitAddon } from '@xterm/addon-fit'
import { type ITheme, Terminal } from '@xterm/xterm'
import { useEffect, useRef, useState } from 'react'
import { post } from '~/api/client'
import { asError, sentence } from '~/api/error'
import classes from './terminal.module.css'

/** Why it ended, by the code of the close frame; what is not here says so itself. */
const WHY: Record<number, string> = {
  1006: 'The connection was lost',
  1012: 'The server stops',
  4401: 'This terminal may not go on: its ticket was used, or the login has ended',
  4404: 'There is no such job',
  4409: 'The job does not run',
  4410: 'The job has ended',
  4503: 'The worker of the job does not answer',
}

/** A shell in the job, and what to do when it has ended. */
export default function Screen({ jid }: { jid: number }) {
  const [turn, setTurn] = useState(0)
  return <Shell key={turn} jid={jid} again={() => setTurn(turn + 1)} />
}

function Shell({ jid, again }: { jid: number; again: () => void }) {
  const place = useRef<HTMLDivElement>(null)
  const terminal = useRef<Terminal>(undefined)
  const [ended, setEnded] = useState('')
  const [open, setOpen] = useState(false)
  const scheme = useComputedColorScheme()
  useEffect(() => {
    const box = place.current
    if (!box) return
    const screen = new Terminal({ theme: colours(), fontFamily: 'ui-monospace, Menlo, Consolas, "Liberation Mono", monospace', fontSize: 13, scrollback: 10_000, screenReaderMode: true, cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches })
    terminal.current = screen
    const fit = new FitAddon()
    screen.loadAddon(fit)
    screen.open(box)
    screen.attachCustomKeyEventHandler((event) => {
      if (event.key !== 'F6') return true
      box.closest('[role=dialog]')?.querySelector<HTMLElement>('button')?.focus()
      return false
    })
    fit.fit()
    screen.focus()
    const watch = new ResizeObserver(() => fit.fit())
    watch.observe(box)
    const hangUp = call(jid, screen, () => setOpen(true), setEnded)
    return () => {
      watch.disconnect()
      hangUp()
      screen.dispose()
      terminal.current = undefined
    }
  }, [jid])
  useEffect(() => {
    if (terminal.current) terminal.current.options.theme = colours()
  }, [scheme])
  return (
    <div className={classes.shell}>
      <div ref={place} className={classes.place} data-open={open || undefined} />
      {ended && (
        <div className={classes.ended} role="status">
          {ended}
          <Button size="compact-sm" variant="default" onClick={again}>
            Open again
          </Button>
        </div>
      )}
    </div>
  )
}

/** Connects a terminal with a new shell of the job.
 *
 * @returns what ends it.
 */
function call(jid: number, screen: Terminal, opened: () => void, ended: (why: string) => void): () => void {
  let line: WebSocket | undefined
  let left = false
  const bytes = new TextEncoder()
  const size = () => JSON.stringify({ rows: screen.rows, cols: screen.cols })
  const say = (data: Uint8Array<ArrayBuffer>) => line?.readyState === WebSocket.OPEN && line.send(data)
  const heard = [
    screen.onData((text) => say(bytes.encode(text))),
    screen.onBinary((text) => say(Uint8Array.from(text, (one) => one.charCodeAt(0)))),
    screen.onResize(() => line?.readyState === WebSocket.OPEN && line.send(size())),
  ]
  const begin = async () => {
    const { url } = await post('/v1/job/{jid}/terminal', { rows: screen.rows, cols: screen.cols }, { jid })
    if (left) return
    line = new WebSocket(url)
    line.binaryType = 'arraybuffer'
    line.onopen = () => {
      line?.send(size()) // it may have changed meanwhile
      opened()
    }
    line.onmessage = ({ data }) => screen.write(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
    line.onclose = ({ code, reason }) => !left && ended(WHY[code] ?? (reason ? `The shell has ended: ${reason}` : 'The terminal was closed'))
  }
  begin().catch((thrown: unknown) => !left && ended(sentence(asError(thrown).message)))
  return () => {
    left = true
    heard.forEach((one) => one.dispose())
    line?.close()
  }
}

/** The theme's colours; those of programs are what terminals commonly have, made legible on the ground. */
function colours(): ITheme {
  const style = getComputedStyle(document.documentElement)
  const of = (name: string) => style.getPropertyValue(`--pc-${name}`).trim()
  const text = getComputedStyle(document.body).color
  return {
    background: of('sunk'), foreground: text, cursor: text, cursorAccent: of('sunk'), selectionBackground: `${of('busy')}55`,
    red: of('bad'), green: of('good'), yellow: of('warns'), blue: of('busy'), magenta: of('third'), cyan: of('second'),
    brightRed: of('bad'), brightGreen: of('good'), brightYellow: of('warns'), brightBlue: of('accent'), brightMagenta: of('third'), brightCyan: of('second'),
    white: of('text-dim'), brightWhite: text, black: of('line'), brightBlack: of('off'),
  } // prettier-ignore
}
