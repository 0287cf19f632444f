import { Anchor } from '@mantine/core'
import { useEffect, useState } from 'react'
import type { ApiError } from '~/api/error'
import { ErrorBox, format } from '~/parts'
import { type Outcome, traceback } from './call'
import classes from './rest.module.css'

const SHOWN = 20_000
const IMAGES: [string, number[]][] = [
  ['image/png', [0x89, 0x50, 0x4e, 0x47]],
  ['image/jpeg', [0xff, 0xd8, 0xff]],
  ['image/gif', [0x47, 0x49, 0x46, 0x38]],
]

/** What the function answered: JSON, a text, a picture, or bytes to download. */
export function Answer({ outcome, label }: { outcome: Outcome; label: string }) {
  if (outcome.bytes) return <Bytes bytes={outcome.bytes} label={label} />
  const json = outcome.json ?? ''
  return <Text label="Result" text={json.length > SHOWN ? `${json.slice(0, SHOWN)}\n.. ${format.count(json.length - SHOWN)} further characters` : json} />
}

function Bytes({ bytes, label }: { bytes: Blob; label: string }) {
  const [seen, see] = useState<{ of: Blob; url: string; image: boolean; text: string | undefined }>()
  useEffect(() => {
    let url = ''
    let gone = false
    void look(bytes).then((found) => {
      if (gone) return
      url = URL.createObjectURL(new Blob([bytes], { type: found.type || 'application/octet-stream' }))
      see({ of: bytes, url, image: Boolean(found.type), text: found.text })
    })
    return () => {
      gone = true
      if (url) URL.revokeObjectURL(url)
    }
  }, [bytes])
  if (seen?.of !== bytes) return null
  return (
    <div>
      {seen.image && <img className={classes.image} src={seen.url} alt="What the function answered" />}
      {seen.text !== undefined && <Text label="Result" text={seen.text} />}
      <Anchor href={seen.url} download={label} size="sm">
        Download the result, {format.bytes(bytes.size)}
      </Anchor>
    </div>
  )
}

/** Whether bytes are a picture or a text; by what they are, not by what they say. */
async function look(bytes: Blob): Promise<{ type: string; text?: string }> {
  const head = new Uint8Array(await bytes.slice(0, 16).arrayBuffer())
  const image = IMAGES.find(([, magic]) => magic.every((byte, at) => head[at] === byte))
  if (image) return { type: image[0] }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await bytes.slice(0, SHOWN).arrayBuffer(), { stream: true })
    return text.includes('\0') ? { type: '' } : { type: '', text: bytes.size > SHOWN ? `${text}\n..` : text }
  } catch {
    return { type: '' }
  }
}

/** Why there is no answer, with the traceback of a job that failed. */
export function Failed({ error }: { error: ApiError | undefined }) {
  if (!error) return null
  const trace = traceback(error)
  return (
    <>
      <ErrorBox error={error} />
      {trace && <Text label="Traceback" text={trace} />}
    </>
  )
}

const Text = ({ label, text }: { label: string; text: string }) => (
  <div>
    <div className="pc-dim">{label}</div>
    {/* It scrolls, so the keyboard must reach it. */}
    {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
    <pre className={classes.text} tabIndex={0} aria-label={label}>
      {text}
    </pre>
  </div>
)
