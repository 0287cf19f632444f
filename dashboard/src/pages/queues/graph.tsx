import '@xyflow/react/dist/base.css'
import { Controls, type Edge, type Node, ReactFlow, ReactFlowProvider } from '@xyflow/react'
import { useComputedColorScheme } from '@mantine/core'
import { useMemo, useState } from 'react'
import { HandlerNode, QueueNode } from './nodes'
import { plan, SIZE, structure, type Queue, type Way } from './plan'
import { Queues } from './live'
import { Arrows, WayEdge } from './way'
import classes from './graph.module.css'

const NODES = { queue: QueueNode, handler: HandlerNode }
const EDGES = { way: WayEdge }
/** What is smaller cannot be read. */
const LEAST = 0.5
const FIT = { padding: { top: '24px', left: '24px', right: '64px', bottom: '48px' } as const, maxZoom: 1, minZoom: 0.15 }
const START = { x: 16, y: 16, zoom: 0.7 }

/** The pipelines, drawn by themselves: rectangles are queues, circles handlers, dashed lines ways of errors. */
export default function Graph({ queues }: { queues: Queue[] }) {
  const scheme = useComputedColorScheme()
  const drawn = structure(queues)
  const laid = useMemo(() => plan(drawn), [drawn])
  const nodes = useMemo(() => laid.places.map(({ id, sort, name, x, y }): Node => ({ id, type: sort, position: { x, y }, data: { name }, ...SIZE[sort], draggable: false, selectable: false, focusable: false, connectable: false })), [laid])
  const edges = useMemo(() => laid.ways.map((way): Edge<{ way: Way }> => ({ id: way.id, type: 'way', source: way.from, target: way.to, data: { way }, selectable: false, focusable: false })), [laid])
  // What does not fit, and be read, begins at its left.
  const [room, measure] = useState<{ width: number; height: number }>()
  const cramped = room && Math.min(room.width / laid.width, room.height / laid.height) < LEAST
  const named = useMemo(() => new Map(queues.map((one) => [one.name, one])), [queues])
  return (
    <Queues.Provider value={named}>
      <div ref={(place) => measure((known) => known ?? (place ? { width: place.clientWidth, height: place.clientHeight } : undefined))} className={`pc-card ${classes.graph}`} role="group" aria-label="Graph of the pipelines">
        <Arrows />
        {room && <ReactFlowProvider key={drawn}>
          <ReactFlow
            nodes={nodes}
            edges={edges}
            nodeTypes={NODES}
            edgeTypes={EDGES}
            colorMode={scheme}
            fitView={!cramped}
            defaultViewport={START}
            fitViewOptions={FIT}
            minZoom={0.15}
            maxZoom={1.75}
            nodesFocusable={false}
            edgesFocusable={false}
            elementsSelectable={false}
            nodesDraggable={false}
            nodesConnectable={false}
            disableKeyboardA11y
            zoomOnScroll={false}
            preventScrolling={false}
            zoomOnDoubleClick={false}
          >
            <Controls showInteractive={false} fitViewOptions={FIT} position="bottom-right" />
          </ReactFlow>
        </ReactFlowProvider>}
        <p className={classes.legend} aria-hidden>
          <span className={classes.box} /> queue <span className={classes.circle} /> handler <span className={classes.dash} /> errors
        </p>
      </div>
    </Queues.Provider>
  )
}
