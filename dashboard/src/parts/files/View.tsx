import { Loader, Text as Words } from '@mantine/core'
import { useEffect, useState } from 'react'
import { type ApiError, asError } from '~/api/error'
import { ErrorBox } from '../ErrorBox'
import { count as number } from '../format'
import { sheet } from './csv'
import classes from './files.module.css'
import { type Look, linkTo, lookOf, type Text, textOf } from './looks'
import type { Entry } from './names'

interface Props {
  entry: Entry
  volume: string
}

const ROWS = 200

/** What is in an object, as far as it can be looked at. */
export function View({ entry, volume }: Props) {
  const look = lookOf(entry)
  if (entry.size === 0) return <p className="pc-dim">There is nothing in it: 0 bytes.</p>
  return look === 'image' || look === 'sound' || look === 'film' ? <Medium look={look} entry={entry} volume={volume} /> : <Written look={look} entry={entry} volume={volume} />
}

/** From the content host, which runs no script of it. */
function Medium({ look, entry, volume }: Props & { look: Look }) {
  const { done: url, error } = useLoaded(() => linkTo(entry.key, volume, true))
  const [broken, setBroken] = useState(false)
  if (error) return <ErrorBox error={error} />
  if (broken) return <p className="pc-dim">The browser cannot show it. Download it to open it.</p>
  if (!url) return <Loader size="sm" />
  if (look === 'image') return <img className={classes.image} src={url} alt={`Content of ${entry.key}`} referrerPolicy="no-referrer" onError={() => setBroken(true)} />
  // What somebody has stored comes without captions.
  /* eslint-disable jsx-a11y/media-has-caption */
  if (look === 'sound') return <audio className={classes.medium} controls src={url} onError={() => setBroken(true)} />
  return <video className={classes.medium} controls src={url} onError={() => setBroken(true)} />
  /* eslint-enable jsx-a11y/media-has-caption */
}

function Written({ look, entry, volume }: Props & { look: Look }) {
  const { done, error } = useLoaded((stop) => textOf(entry, volume, stop))
  if (error?.code === 'binary') return <p className="pc-dim">There is no preview of such files. Download it to open it.</p>
  if (error) return <ErrorBox error={error} />
  if (!done) return <Loader size="sm" />
  if (look === 'table') return <Sheet {...done} />
  const laid = look === 'json' && !done.cut ? pretty(done.text) : undefined
  return (
    <>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={classes.text} tabIndex={0} aria-label="Content">
        {laid ?? done.text}
      </pre>
      {look === 'json' && !done.cut && laid === undefined && <Note>This is no valid JSON: shown as it is.</Note>}
      {done.cut && <Note>Only the beginning is shown.</Note>}
    </>
  )
}

const Note = ({ children }: { children: string }) => (
  <Words size="sm" c="dimmed" mt="xs">
    {children}
  </Words>
)

function pretty(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    // Numbers of more digits than ours hold would come out as others.
    return /\d{16}/.test(text) ? undefined : JSON.stringify(value, null, 2)
  } catch {
    return undefined
  }
}

function Sheet({ text, cut }: Text) {
  const { rows, cut: more } = sheet(text, ROWS + 1)
  const [head = [], ...body] = rows
  // The last row of a part may be half a one.
  const shown = cut && !more ? body.slice(0, -1) : body
  return (
    <>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={classes.sheet} tabIndex={0} role="group" aria-label="Content as a table">
        <table>
          <thead>
            <tr>
              {head.map((name, at) => (
                <th key={at} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, at) => (
              <tr key={at}>
                {row.map((field, column) => (
                  <td key={column} title={field}>
                    {field}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Note>{cut || more ? `The first ${number(shown.length)} rows.` : `${number(shown.length)} ${shown.length === 1 ? 'row' : 'rows'}.`}</Note>
    </>
  )
}

/** What a promise made once for this component brings. */
function useLoaded<A>(load: (stop: AbortSignal) => Promise<A>): { done?: A; error?: ApiError } {
  const [state, setState] = useState<{ done?: A; error?: ApiError }>({})
  const [first] = useState(() => load)
  useEffect(() => {
    const stop = new AbortController()
    first(stop.signal).then(
      (done) => !stop.signal.aborted && setState({ done }),
      (thrown: unknown) => !stop.signal.aborted && setState({ error: asError(thrown) }),
    )
    return () => stop.abort()
  }, [first])
  return state
}
