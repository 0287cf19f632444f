import { Button, Switch, Tabs } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useDeferredValue, useEffect, useState, useSyncExternalStore } from 'react'
import { useAction } from '~/api/action'
import { address, request } from '~/api/client'
import { format, Search, Section, Status, useQuery } from '~/parts'
import { fetched, save } from '../save'
import { isOver, type Job } from '../shape'
import classes from './output.module.css'
import { Found, Screen } from './screen'
import { Tail } from './tail'

const STREAMS: [string, string][] = [
  ['stdout', 'stdout'],
  ['stderr', 'stderr'],
  ['logging', 'Python log'],
  ['pilog', 'Pi log'],
  ['syslog', 'System log'],
]

/** Bytes of a stream up to which all of it is stored. */
const STORED = 11_000_000

const NOTHING: Record<string, string> = {
  stdout: 'What the job prints appears here.',
  stderr: 'What it prints to stderr appears here.',
  logging: 'What it says by the module logging appears here.',
  pilog: 'What PiCloud has to say of the job appears here, such as why it was ended.',
  syslog: 'What the kernel says of the job appears here, such as that memory ran out.',
}

/** All that a job printed, as it comes. */
export function Output({ job }: { job: Job }) {
  const [query, setQuery] = useQuery('log')
  const [first, setFirst] = useState<string>()
  const some = STREAMS.find(([name]) => job.logs[name])?.[0]
  if (!first && some) setFirst(some)
  const asked = STREAMS.some(([name]) => name === query.log) ? query.log : undefined
  const stream = asked ?? first ?? 'stdout'
  return (
    <Section title="Output" actions={!isOver(job) && job.status === 'processing' && <Status state="processing">live</Status>}>
      <div className={`pc-card ${classes.box}`}>
        <Tabs value={stream} onChange={(name) => setQuery({ log: name ?? undefined })} keepMounted={false}>
          <Tabs.List className={classes.tabs}>
            {STREAMS.map(([name, title]) => (
              <Tabs.Tab key={name} value={name} className={classes.tab}>
                {title}
                {job.logs[name] ? <span className={classes.size}>{format.bytes(job.logs[name])}</span> : null}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {STREAMS.map(([name, title]) => (
            <Tabs.Panel key={name} value={name}>
              <Stream key={`${job.jid}/${name}`} job={job} name={name} title={title} />
            </Tabs.Panel>
          ))}
        </Tabs>
      </div>
    </Section>
  )
}

function Stream({ job, name, title }: { job: Job; name: string; title: string }) {
  const [tail] = useState(() => new Tail(job.jid, name, job.logs[name] ?? 0))
  const known = useSyncExternalStore(tail.listen, () => tail.known)
  const over = isOver(job)
  const attempt = job.attempts.length
  useEffect(() => tail.learn(over, attempt), [tail, over, attempt])
  useEffect(() => tail.start(), [tail])
  const [wanted, setWanted] = useState('')
  const search = useDeferredValue(wanted)
  const [wrap, setWrap] = useState(true)
  const load = useAction(async () => {
    const answer = await request(address('/v1/job/{jid}/log', { jid: job.jid, stream: name }))
    save(await fetched(answer), `job-${job.jid}.${name}.txt`)
  })
  const empty = known.blocks.length === 0
  return (
    <>
      <div className={classes.tools}>
        <Search label={`Search ${title}`} value={wanted} onChange={setWanted} pause={150} />
        <Switch size="xs" label="Wrap" checked={wrap} onChange={(event) => setWrap(event.currentTarget.checked)} />
        {!empty && (
          <Button variant="subtle" color="gray" className={classes.load} leftSection={<IconDownload size={14} aria-hidden />} loading={load.busy} onClick={() => void load.run()}>
            Download
          </Button>
        )}
      </div>
      {known.cut > 0 && (
        <div className={classes.cut}>
          The first {format.bytes(known.cut)} are not shown; the download has {(job.logs[name] ?? 0) > STORED ? 'the first 1 MB and the last 10 MB' : 'all'}.
        </div>
      )}
      {search ? (
        <Found blocks={known.blocks} search={search} wrap={wrap} label={title} />
      ) : empty ? (
        <div className={classes.nothing}>{known.error || (!known.read ? 'Reading…' : over ? 'Nothing.' : NOTHING[name])}</div>
      ) : (
        <Screen blocks={known.blocks} wrap={wrap} label={title} resume={over ? 'To the end' : 'Follow'} />
      )}
    </>
  )
}
