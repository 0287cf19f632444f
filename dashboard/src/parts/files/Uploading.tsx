import { ActionIcon, Button, Progress } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import { bytes } from '../format'
import { Status, type Tone } from '../Status'
import classes from './files.module.css'
import { files, nameOf, visible } from './names'
import { clear, repeat, type State, stop, stopAll, type Upload, underWay, useUploads } from './uploads'

const WORDS: Record<State, [string, Tone]> = {
  waits: ['waits', 'waits'],
  sends: ['sending', 'busy'],
  done: ['done', 'good'],
  failed: ['failed', 'bad'],
  exists: ['exists', 'warns'],
  stopped: ['stopped', 'off'],
}
const SHOWN = 50
/** What asks for something comes first, then what moves. */
const ORDER: State[] = ['exists', 'failed', 'sends', 'waits', 'stopped', 'done']

/** The uploads of this tab, with what can be done about each. */
export function Uploading() {
  const all = useUploads()
  if (!all.length) return null
  const size = all.reduce((sum, one) => sum + one.file.size, 0)
  const sent = all.reduce((sum, one) => sum + Math.min(one.sent, one.file.size), 0)
  const done = all.filter((one) => one.state === 'done').length
  const ids = (state: State) => all.filter((one) => one.state === state).map((one) => one.id)
  const [exist, failed] = [ids('exists'), ids('failed')]
  const busy = underWay(all)
  const sorted = [...all].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.id - b.id).slice(0, SHOWN)
  return (
    <section className={`pc-card ${classes.uploads}`} aria-label="Uploads">
      <div className={classes.uploadHead}>
        <strong aria-live="polite">{done === all.length ? `${files(done)} uploaded` : `${done} of ${files(all.length)} uploaded`}</strong>
        <span className="pc-dim">
          {bytes(sent)} of {bytes(size)}
        </span>
        {exist.length > 0 && (
          <Button variant="default" onClick={() => repeat(exist, true)}>
            Replace {exist.length === 1 ? 'what exists' : `all ${exist.length} that exist`}
          </Button>
        )}
        {failed.length > 0 && (
          <Button variant="default" onClick={() => repeat(failed, false)}>
            Try {failed.length === 1 ? 'it' : `${failed.length}`} again
          </Button>
        )}
        {busy ? (
          <Button variant="default" onClick={stopAll}>
            Cancel all
          </Button>
        ) : (
          <Button variant="default" onClick={clear}>
            Close
          </Button>
        )}
      </div>
      <Progress value={size ? (sent / size) * 100 : done === all.length ? 100 : 0} size="sm" aria-label="All uploads" />
      <ul className={classes.uploadList}>
        {sorted.map((one) => (
          <Line key={one.id} one={one} />
        ))}
        {all.length > SHOWN && <li className="pc-dim">and {all.length - SHOWN} more</li>}
      </ul>
    </section>
  )
}

function Line({ one }: { one: Upload }) {
  const [word, tone] = WORDS[one.state]
  const name = visible(nameOf(one.key))
  const moves = one.state === 'sends' || one.state === 'waits'
  return (
    <li>
      <span className="pc-cut" title={one.error ? `${visible(one.key)}: ${one.error.message}` : visible(one.key)}>
        {name}
        {one.state === 'failed' && one.error && <span className="pc-dim"> {one.error.message}</span>}
      </span>
      {moves ? (
        <Progress value={one.file.size ? (one.sent / one.file.size) * 100 : 0} size="sm" aria-label={`Upload of ${name}`} />
      ) : (
        <Status state={one.state} tone={tone}>
          {word}
        </Status>
      )}
      <span className="pc-dim" data-bytes>
        {bytes(one.file.size)}
      </span>
      {moves ? (
        <ActionIcon variant="subtle" color="gray" aria-label={`Cancel the upload of ${name}`} onClick={() => stop(one.id)}>
          <IconX size={14} />
        </ActionIcon>
      ) : one.state === 'exists' ? (
        <Button variant="subtle" size="compact-xs" onClick={() => repeat([one.id], true)}>
          Replace
        </Button>
      ) : one.state === 'failed' || one.state === 'stopped' ? (
        <Button variant="subtle" size="compact-xs" onClick={() => repeat([one.id], false)}>
          Again
        </Button>
      ) : (
        <span />
      )}
    </li>
  )
}
