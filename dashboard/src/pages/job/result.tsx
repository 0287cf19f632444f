import { Button, Code as Word } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useAction } from '~/api/action'
import { address, request } from '~/api/client'
import { format, Section, Snippet } from '~/parts'
import { pretty } from './pretty'
import { fetched, save } from './save'
import type { Job } from './shape'
import { Text } from './text'
import classes from './job.module.css'

/** What it answered: JSON as it is, bytes to download, and of Python objects what may be said without loading them. */
export function Result({ job }: { job: Job }) {
  const { result, jid } = job
  if (!result) return null
  return (
    <Section title="Result" actions={<span className="pc-dim">{format.bytes(result.size)}</span>}>
      <div className={`pc-card ${classes.result}`}>
        {result.kind === 'json' && result.exact ? <Json job={job} value={result.json} /> : result.kind === 'pickle' ? <Pickled job={job} /> : <Raw job={job} />}
        {!(result.kind === 'json' && result.exact) && <Snippet code={`import cloud\ncloud.result(${jid})`} />}
      </div>
    </Section>
  )
}

function Json({ job, value }: { job: Job; value: unknown }) {
  const text = pretty(value)
  return (
    <>
      <Text title="JSON" text={text} open />
      <div>
        <Button variant="default" leftSection={<IconDownload size={14} aria-hidden />} onClick={() => save(new Blob([text], { type: 'application/json' }), `job-${job.jid}.json`)}>
          Download
        </Button>
      </div>
    </>
  )
}

/** Bytes, or JSON that is too long to be shown. */
function Raw({ job }: { job: Job }) {
  const { result, jid } = job
  const isJson = result?.kind === 'json'
  const load = useAction(async () => {
    const answer = await request(address('/v1/job/{jid}/result', { jid }))
    save(await fetched(answer), `job-${jid}.${isJson ? 'json' : 'bin'}`)
  })
  return (
    <>
      <div className={classes.kind}>{isJson ? 'JSON that is too long to show here; it begins:' : 'Bytes:'}</div>
      {result?.preview && <Word block className={classes.preview}>{result.preview.replace(/^=/, '')}</Word>}
      <div>
        <Button variant="default" leftSection={<IconDownload size={14} aria-hidden />} loading={load.busy} onClick={() => void load.run()}>
          Download {format.bytes(result?.size ?? 0)}
        </Button>
      </div>
    </>
  )
}

function Pickled({ job }: { job: Job }) {
  const { result } = job
  return (
    <>
      {result?.preview && <Word block className={classes.preview}>{result.preview.replace(/^=/, '')}</Word>}
      <div className={classes.kind}>A Python object: it is not loaded here, as that could run code. Load it where you trust it:</div>
    </>
  )
}
