import { Button, Skeleton } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { IconTable, IconTopologyStar3 } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { useLive } from '~/api/live'
import { Empty, Page, Search, Snippet, useQuery } from '~/parts'
import { later } from '~/parts/later'
import { QueueTable } from './table'

const Graph = later(() => import('./graph'))

const CODE = `import cloud

words, lengths = cloud.queue.get("words"), cloud.queue.get("lengths")
words.attach(len, lengths)           # jobs come with messages, and go without
words.push(["one", "three", "eleven"])`

const NONE = (
  <Empty title="No queues yet" more={<Snippet code={CODE} />}>
    A queue holds messages until a handler, one of your functions, has handled each of them once. Queues and handlers together are a pipeline, which is drawn here.
  </Empty>
)

/** All queues: their pipelines drawn, and as a table. */
export default function QueuesPage() {
  const { data, error } = useLive('/v1/queue')
  const [query, setQuery] = useQuery('graph')
  const [sought, seek] = useState('')
  const wide = useMediaQuery('(min-width: 48em)', undefined, { getInitialValueInEffect: false })
  const queues = data?.queues
  const shown = useMemo(() => queues?.filter((one) => `${one.name} ${one.handler?.name ?? ''}`.toLowerCase().includes(sought.toLowerCase())), [queues, sought])
  const drawn = query.graph ? query.graph === 'yes' : wide
  const some = Boolean(queues?.length)
  return (
    <Page
      title="Queues"
      actions={
        some && (
          <>
            <Search label="Search queues" value={sought} onChange={seek} pause={0} />
            <Button variant="default" leftSection={drawn ? <IconTable size={14} aria-hidden /> : <IconTopologyStar3 size={14} aria-hidden />} onClick={() => setQuery({ graph: drawn ? 'no' : 'yes' })}>
              {drawn ? 'Only the table' : 'Draw the graph'}
            </Button>
          </>
        )
      }
    >
      {drawn && queues && some && <Graph queues={queues} waiting={<Skeleton height="clamp(20rem, 52vh, 36rem)" />} />}
      <QueueTable queues={shown} error={error} empty={some ? <Empty title="No queue has such a name" /> : NONE} />
    </Page>
  )
}
