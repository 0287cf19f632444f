import { Anchor, Button, Group, NumberInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'
import { Link } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import type { Shape } from '~/api/types'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { Ago, Confirm, Empty, format, Section, Snippet, useConfirm, useWho } from '~/parts'
import { ceiling } from '../queues/figures'
import { Jobs, Versions } from './jobs'
import classes from './queue.module.css'

type Whole = Shape<'InsideWhole'>
type Shown = Shape<'HandlerShown'>
const MOST = 10_000

const snippet = (name: string) => `import cloud

def handle(message):
    return message                    # goes to the output queue; None goes nowhere

queue = cloud.queue.get(${JSON.stringify(name)})
queue.attach(handle, cloud.queue.get("done"), max_parallel_jobs=4)`

/** The attachment: the function that handles the messages, with its jobs and its former versions. */
export function Handler({ queue, name }: { queue: Whole | undefined; name: string }) {
  const may = useWho().scopes.includes('queue')
  const detach = useAction(() => post('/v1/queue/detach', { name }), { said: 'The handler is detached; it finishes what it holds' })
  const ask = useConfirm()
  if (!queue) return null
  const handler = queue.handler
  const detaching = handler && may && (
    <Button variant="default" onClick={() => ask.open(true)}>
      Detach
    </Button>
  )
  return (
    <Section title="Handler" actions={detaching}>
      <div className="pc-card">
        {handler ? (
          <>
            {handler.trouble && <div className={classes.trouble}>Its jobs do not come to work: {handler.trouble}</div>}
            <Facts queue={queue} handler={handler} may={may} />
          </>
        ) : (
          <Empty title="No handler" more={<Snippet code={snippet(name)} />}>
            Messages wait here until a program pops them. Attach a function, and jobs call it with each message.
          </Empty>
        )}
      </div>
      {(handler || queue.jobs.length > 0 || queue.versions.length > 0) && (
        <div className={classes.pair}>
          <Jobs jobs={queue.jobs} present={handler?.version} />
          <Versions versions={queue.versions} />
        </div>
      )}
      <Confirm {...ask.dialog} title="Detach the handler?" action="Detach" run={() => detach.run()}>
        {handler?.name} finishes what it holds, and its jobs end. Messages stay in the queue until another handler, or a program, takes them.
      </Confirm>
    </Section>
  )
}

const Fact = ({ name, children }: { name: string; children: ReactNode }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

const QueueLink = ({ name }: { name: string }) => (
  <Anchor component={Link} href={to.queue(name)}>
    {name}
  </Anchor>
)

const listed = (all: ReactNode[]) => (all.length ? all.map((one, at) => <div key={at}>{one}</div>) : <span className="pc-dim">none</span>)

function Facts({ queue, handler, may }: { queue: Whole; handler: Shown; may: boolean }) {
  const environment = handler.env && linked(to.environment(handler.env))
  return (
    <dl className={classes.facts}>
      <Fact name="Function">
        {handler.name}{' '}
        <span className="pc-dim">
          version {handler.version}, since <Ago at={handler.created} />
        </span>
      </Fact>
      <Fact name="Jobs">
        {handler.running} running{handler.starting > 0 && `, ${handler.starting} starting`}
      </Fact>
      <Fact name="Most jobs at once">{may ? <Most key={handler.max_parallel_jobs} queue={queue.name} handler={handler} /> : format.count(handler.max_parallel_jobs)}</Fact>
      <Fact name="Costs at most">
        {ceiling(handler.ceiling)} <span className="pc-dim">and nothing without messages</span>
      </Fact>
      <Fact name="Each job">
        {handler.type}, {handler.cores} {handler.cores === 1 ? 'core' : 'cores'}, {handler.readers_per_job} {handler.readers_per_job === 1 ? 'reader' : 'readers'}
      </Fact>
      <Fact name="Environment">
        {environment ? (
          <Anchor component={Link} href={environment}>
            {handler.env}
          </Anchor>
        ) : (
          handler.env || <span className="pc-dim">the usual one</span>
        )}
        {handler.vol.length > 0 && `, volumes ${handler.vol.join(', ')}`}
      </Fact>
      <Fact name="Comes from">{listed(queue.inputs.map((one) => <><QueueLink name={one.queue} />{one.on_error && <span className="pc-dim"> its errors</span>}</>))}</Fact>
      <Fact name={handler.iter_output ? 'Each element goes to' : 'Results go to'}>{listed(handler.output_queues.map((one) => <QueueLink key={one} name={one} />))}</Fact>
      <Fact name="Errors go to">
        {listed(handler.on_error.map((one) => <><span className="pc-mono">{one.exception}</span> → <QueueLink name={one.queue} />{one.delay > 0 && ` after ${format.duration(one.delay * 1000)}`}</>))}
      </Fact>
      <Fact name="Retries">
        {handler.retry_on.length ? (
          <>
            on <span className="pc-mono">{handler.retry_on.join(', ')}</span>, {handler.max_retries ?? 'any number of'} times
            {handler.retry_delay ? `, after ${format.duration(handler.retry_delay * 1000)}` : ''}
          </>
        ) : (
          <span className="pc-dim">none by itself</span>
        )}
      </Fact>
      {handler.label && <Fact name="Label">{handler.label}</Fact>}
      {queue.retention > 0 && <Fact name="Messages are kept">{format.duration(queue.retention * 1000)}</Fact>}
    </dl>
  )
}

/** How many jobs it may have: changed while it works. */
function Most({ queue, handler }: { queue: string; handler: Shown }) {
  const [value, set] = useState<number | string>(handler.max_parallel_jobs)
  const resize = useAction((most: number) => post('/v1/queue/resize', { name: queue, max_jobs: most }), { said: 'The number of jobs is changed' })
  const changed = typeof value === 'number' && value !== handler.max_parallel_jobs
  return (
    <form
      className={classes.limit}
      onSubmit={(event) => {
        event.preventDefault()
        if (changed) void resize.run(value)
      }}
    >
      <NumberInput size="xs" w={88} aria-label="Most jobs at once" min={0} max={MOST} allowDecimal={false} value={value} onChange={set} />
      <Group gap={4}>
        <Button type="submit" variant={changed ? 'filled' : 'default'} disabled={!changed} loading={resize.busy}>
          Save
        </Button>
        {changed && handler.max_parallel_jobs > 0 && <span className="pc-dim">{ceiling((handler.ceiling / handler.max_parallel_jobs) * value)}</span>}
      </Group>
    </form>
  )
}
